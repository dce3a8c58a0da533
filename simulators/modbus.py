"""Modbus RTU slaves on one line: an air sensor with holding registers, and a meter with input registers.

Formats: Modbus Organization, "MODBUS Application Protocol Specification" V1.1b3, sections 6.3, 6.4 and 7, and "MODBUS
over Serial Line" V1.02, section 6.2.2 (check sum); ELT Sensor, "MB-350U-C" manual, section 2; Eastron, "SDM120 Modbus
Protocol", input registers (IEEE 754 floats, high word first).
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

AIR_MODEL: Final = "MB-350U-C"
METER_MODEL: Final = "SDM120"
_QUESTION: Final = struct.Struct(">BBHH")
_NO_FUNCTION, _NO_REGISTER = 1, 2
_MOST_REGISTERS: Final = 40


def check_sum(data: bytes) -> bytes:
    """The cyclic redundancy check of a frame, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


class Slave(ABC):
    """One device at one address, with one kind of registers."""

    function = 3

    def __init__(self, model: DeviceModel, room: Senses, rng: Random) -> None:
        self.id = model.id
        self._address = model.address
        self._room, self._rng = room, rng

    def answer(self, question: bytes) -> tuple[bytes, int] | None:
        """The registers asked for, or why not; nothing to a question for another, or one that came broken."""
        if len(question) != _QUESTION.size + 2 or check_sum(question[:-2]) != question[-2:]:
            return None
        address, function, start, count = _QUESTION.unpack_from(question)
        if address != self._address:
            return None
        measured = self.measure()
        registers = {first + place: word for first, words in measured.items() for place, word in enumerate(words)}
        last = max(registers)
        if function != self.function or not 0 < count <= _MOST_REGISTERS or start + count - 1 > last:
            failure = _NO_FUNCTION if function != self.function else _NO_REGISTER
            body = bytes((address, function | 0x80, failure))
            return body + check_sum(body), 0
        words = [registers.get(number, 0) for number in range(start, start + count)]
        body = struct.pack(f">3B{count}H", address, function, 2 * count, *words)
        return body + check_sum(body), sum(start <= first < start + count for first in measured)

    @abstractmethod
    def measure(self) -> Mapping[int, tuple[int, ...]]:
        """The words of every measurement, by its first register."""


class AirSlave(Slave):
    """MB-350U-C: CO2 in ppm, temperature in tenths, humidity in percent."""

    def measure(self) -> Mapping[int, tuple[int, ...]]:
        """Three holding registers from 0x50."""
        air = self._room.air
        co2 = round(air.co2_ppm + self._rng.gauss(0.0, 10.0))
        return {0x50: (co2,), 0x51: (round(10 * air.temperature_c) & 0xFFFF,), 0x52: (round(air.humidity),)}


class MeterSlave(Slave):
    """SDM120: the room's circuit."""

    function = 4

    def __init__(self, model: DeviceModel, room: Senses, rng: Random) -> None:
        super().__init__(model, room, rng)
        self._energy_kwh = rng.uniform(100.0, 2000.0)

    def measure(self) -> Mapping[int, tuple[int, ...]]:
        """Pairs of input registers, each a float."""
        power = self._room.power_w * (1 + self._rng.gauss(0.0, 0.01))
        voltage = 229.0 + self._rng.gauss(0.0, 0.7)
        self._energy_kwh += power / 60 / 1000
        values = {
            0: voltage, 6: power / voltage / 0.95, 12: power, 18: power / 0.95, 24: power * 0.33, 30: 0.95,
            70: 50.0 + self._rng.gauss(0.0, 0.01), 72: self._energy_kwh, 74: 0.0,
        }  # fmt: skip
        return {first: struct.unpack(">2H", struct.pack(">f", value)) for first, value in values.items()}
