"""Modbus RTU slaves on one line: an air sensor with holding registers, and a meter with input registers.

Formats: Modbus Organization, "MODBUS Application Protocol Specification" V1.1b3, sections 6.3, 6.4 and 7, and "MODBUS
over Serial Line" V1.02, section 6.2.2 (check sum); ELT Sensor, "MB-350U-C" manual, section 2; Eastron, "SDM120 Modbus
Protocol", input registers (IEEE 754 floats, high word first); Peacefair, "PZEM-004T V3.0 User Manual", section 2.3;
Chint, "DTSU666 Modbus protocol", holding registers 101E to 2044; S+S Regeltechnik, "AERASGARD RFTM-LQ-PS-CO2-Modbus",
"Telegrams", function 04.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.asked_line import Answer
from simulators.gauge import Gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

AERASGARD_MODEL: Final = "RFTM-LQ-PS-CO2"
AIR_MODEL: Final = "MB-350U-C"
METER_MODEL: Final = "SDM120"
_QUESTION: Final = struct.Struct(">BBHH")
_NO_FUNCTION, _NO_REGISTER = 1, 2
_MOST_REGISTERS: Final = 125


def check_sum(data: bytes) -> bytes:
    """The cyclic redundancy check of a frame, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


class Measured(NamedTuple):
    """The words of one measurement, and what they say; without a quantity, nothing that the vocabulary has."""

    words: tuple[int, ...]
    quantity: str
    value: float


class Slave(ABC):
    """One device at one address, with one kind of registers."""

    function = 3

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self._address = model.address
        self._room, self._rng = room, rng

    def answer(self, question: bytes) -> Answer | None:
        """The registers asked for, or why not; nothing to a question for another, or one that came broken."""
        if len(question) != _QUESTION.size + 2 or check_sum(question[:-2]) != question[-2:]:
            return None
        address, function, start, count = _QUESTION.unpack_from(question)
        if address != self._address:
            return None
        measured = self.measure()
        registers = {first + place: word for first, each in measured.items() for place, word in enumerate(each.words)}
        last = max(registers)
        if function != self.function or not 0 < count <= _MOST_REGISTERS or start + count - 1 > last:
            failure = _NO_FUNCTION if function != self.function else _NO_REGISTER
            body = bytes((address, function | 0x80, failure))
            return Answer(body + check_sum(body))
        words = [registers.get(number, 0) for number in range(start, start + count)]
        body = struct.pack(f">3B{count}H", address, function, 2 * count, *words)
        told = [
            (each.quantity, each.value)
            for first, each in measured.items()
            if each.quantity and start <= first and first + len(each.words) <= start + count
        ]
        return Answer(body + check_sum(body), tuple(told))

    @abstractmethod
    def measure(self) -> Mapping[int, Measured]:
        """Every measurement, by its first register."""


class AirSlave(Slave):
    """MB-350U-C: CO2 in ppm, temperature in tenths, humidity in percent."""

    def measure(self) -> Mapping[int, Measured]:
        """Three holding registers from 0x50."""
        air = self._room.air
        co2 = round(air.co2_ppm + self._rng.gauss(0.0, 10.0))
        tenths, percent = round(10 * air.temperature_c), round(air.humidity)
        return {
            0x50: Measured((co2,), "carbon_dioxide", co2),
            0x51: Measured((tenths & 0xFFFF,), "temperature", tenths / 10),
            0x52: Measured((percent,), "humidity", percent),
        }


class MeterSlave(Slave):
    """SDM120: the room's circuit."""

    function = 4

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        super().__init__(model, room, rng)
        self._energy_kwh = rng.uniform(100.0, 2000.0)

    def measure(self) -> Mapping[int, Measured]:
        """Pairs of input registers, each a float."""
        power = self._room.power_w * (1 + self._rng.gauss(0.0, 0.01))
        voltage = 229.0 + self._rng.gauss(0.0, 0.7)
        self._energy_kwh += power / 60 / 1000
        return {
            0: _float("voltage", voltage),
            6: _float("current", power / voltage / 0.95),
            12: _float("power", power),
            18: _float("apparent_power", power / 0.95),
            24: _float("reactive_power", power * 0.33),
            30: _float("power_factor", 0.95),
            70: _float("frequency", 50.0 + self._rng.gauss(0.0, 0.01)),
            72: _float("energy", self._energy_kwh),
            74: _float("energy", 0.0),
        }


def _float(quantity: str, value: float, scale: float = 1.0) -> Measured:
    """IEEE 754 in two words, the high one first; `scale` is what one of its units is worth."""
    content = struct.pack(">f", value / scale)
    return Measured(struct.unpack(">2H", content), quantity, struct.unpack(">f", content)[0] * scale)


class PzemSlave(Slave):
    """PZEM-004T V3: ten input registers, of double words the low one first."""

    function = 4

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        super().__init__(model, room, rng)
        self._gauge = Gauge(room, rng)

    def measure(self) -> Mapping[int, Measured]:
        """Voltage, current, power, energy, frequency, power factor, alarm."""
        take = self._gauge.take
        return {
            0: Measured((take("voltage", 0.1),), *self._last()),
            1: Measured(_low_first(take("current", 0.001)), *self._last()),
            3: Measured(_low_first(take("power", 0.1)), *self._last()),
            5: Measured(_low_first(take("energy", 0.001)), *self._last()),
            7: Measured((take("frequency", 0.1),), *self._last()),
            8: Measured((take("power_factor", 0.01),), *self._last()),
            9: Measured((0,), "electrical_overload", 0.0),
        }

    def _last(self) -> tuple[str, float]:
        return self._gauge.told()[-1]


class ChintSlave(Slave):
    """DTSU666: holding registers of floats, the room on its first phase."""

    function = 3

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        super().__init__(model, room, rng)
        self._gauge = Gauge(room, rng)

    def measure(self) -> Mapping[int, Measured]:
        """Voltages, currents, powers, power factors, frequency, energy."""
        gauge = self._gauge
        power, volts = gauge.number("power", 1), [gauge.number("voltage", 1) for _ in range(3)]
        amperes, kilowatt_hours = gauge.number("current", 3), gauge.number("energy", 2)
        frequency = gauge.number("frequency", 2)
        gauge.told()
        measured = {0x2006 + 2 * phase: _float("voltage", each, 0.1) for phase, each in enumerate(volts)}
        measured |= {0x200C + 2 * phase: _float("current", amperes * (phase == 0), 0.001) for phase in range(3)}
        for first, name, total in ((0x2012, "power", power), (0x201A, "reactive_power", round(0.33 * power, 1))):
            measured |= {first + 2 * place: _float(name, total * (place < 2), 0.1) for place in range(4)}
        measured |= {0x202A + 2 * place: _float("power_factor", 0.95, 0.001) for place in range(4)}
        measured[0x2044] = _float("frequency", frequency, 0.01)
        measured |= {0x101E: _float("energy", kilowatt_hours), 0x1028: _float("energy", 0.0)}
        return measured


class AerasgardSlave(Slave):
    """AERASGARD RFTM-LQ-PS-CO2: input registers in pairs, what is measured now and what is filtered over 32 s."""

    function = 4

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        super().__init__(model, room, rng)
        self._gauge = Gauge(room, rng)

    def measure(self) -> Mapping[int, Measured]:
        """CO2, climate, and from register 11 on TVOC and particles; the filtered one of each pair is told."""
        steps = {1: ("carbon_dioxide", 1.0), 5: ("temperature", 0.1), 7: ("humidity", 0.1)}
        steps |= {12: ("volatile_organic_compounds_parts", 1.0), 14: ("pm25", 1.0)}
        measured: dict[int, Measured] = {}
        for register, (name, step) in steps.items():
            word = self._gauge.take(name, step) & 0xFFFF
            measured[register - 1] = Measured((word,), "", 0.0)
            measured[register] = Measured((word,), *self._gauge.told()[-1])
        return measured


def _low_first(value: int) -> tuple[int, int]:
    return value & 0xFFFF, value >> 16
