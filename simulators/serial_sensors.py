"""Sensors on serial lines of their own: dust by Honeywell, Sensirion and Nova Fitness, air by the GY-MCU680.

Formats: Honeywell, "HPM Series" datasheet 32322550, table 5; Sensirion, "SPS30 Datasheet" 1.0, section 5 (SHDLC: byte
stuffing in table 4, check sum inverted); Nova Fitness, "Laser Dust Sensor Control Protocol" V1.3, section 3 (active
mode); GY-MCU680 V1, serial protocol (temperature, humidity, pressure, index, resistance, height).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from simulators.asked_line import Answer
from simulators.emissions import Emission
from simulators.gauge import Gauge

if TYPE_CHECKING:
    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

HPM_MODEL: Final = "HPMA115C0"
_HPM_READ: Final = bytes.fromhex("68010493")
_SHDLC_START: Final = bytes.fromhex("7e0000020103f97e")
_SHDLC_READ: Final = bytes.fromhex("7e000300fc7e")
_LEARNED: Final = 3
"""The module's index is worth something: its accuracy, in the upper half of a byte."""


class HpmSensor:
    """HPMA115C0: four words of dust, to the one question."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self._gauge = Gauge(room, rng)

    def answer(self, question: bytes) -> Answer | None:
        """Sixteen bytes that add up to 0."""
        if question != _HPM_READ:
            return None
        take = self._gauge.take
        body = b"\x40\x0d\x04" + struct.pack(">4H4x", take("pm1"), take("pm25"), take("pm4"), take("pm10"))
        return Answer(body + bytes((-sum(body) & 0xFF,)), self._gauge.told())


class Sps30:
    """SPS30: mass concentrations as floats, once it has been told to measure."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self._gauge = Gauge(room, rng)
        self._is_measuring = False

    def answer(self, question: bytes) -> Answer | None:
        """An acknowledgement, measured values, or nothing new."""
        if question == _SHDLC_START:
            self._is_measuring = True
            return Answer(_shdlc(0x00, b""))
        if question != _SHDLC_READ:
            return None
        if not self._is_measuring:
            return Answer(_shdlc(0x03, b""))
        shares = (("pm1", 0.66), ("pm25", 1.0), ("pm4", 1.1), ("pm10", 1.18))
        masses = [struct.pack(">f", self._gauge.dust(share)) for _, share in shares]
        for (name, _), mass in zip(shares, masses, strict=True):
            self._gauge.say(name, struct.unpack(">f", mass)[0])
        counts = struct.pack(">5ff", *(share * self._gauge.dust(7.0) for share in (0.9, 1.0, 1.0, 1.0, 1.0)), 0.5)
        return Answer(_shdlc(0x03, b"".join(masses) + counts), self._gauge.told())


def _shdlc(command: int, data: bytes) -> bytes:
    """A frame of the slave: address 0, command, state 0, length, data, inverted sum; what must not occur is stuffed."""
    body = bytes((0, command, 0, len(data))) + data
    body += bytes((~sum(body) & 0xFF,))
    for byte in (0x7D, 0x7E, 0x11, 0x13):
        body = body.replace(bytes((byte,)), bytes((0x7D, byte ^ 0x20)))
    return b"\x7e" + body + b"\x7e"


class Sds011:
    """SDS011: ten bytes unasked, dust in tenths."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._gauge = Gauge(room, rng)
        self._number = rng.randrange(0x10000)

    def emit(self, at_ms: int) -> Emission:
        """The frame of that moment."""
        data = struct.pack("<HHH", self._gauge.take("pm25", 0.1), self._gauge.take("pm10", 0.1), self._number)
        frame = b"\xaa\xc0" + data + bytes((sum(data) & 0xFF, 0xAB))
        return Emission(self.id, at_ms, "", frame, self._gauge.told())


class Mcu680:
    """GY-MCU680: twenty bytes unasked, everything that its BME680 measures."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._gauge = Gauge(room, rng)

    def emit(self, at_ms: int) -> Emission:
        """The frame of that moment."""
        take = self._gauge.take
        climate = struct.pack(">hH", take("temperature", 0.01), take("humidity", 0.01))
        pascals = take("atmospheric_pressure", 0.01)
        index = _LEARNED << 12 | take("voc_index")
        body = b"\x5a\x5a\x3f\x0f" + climate + pascals.to_bytes(3, "big") + struct.pack(">HIh", index, 42_115, 5)
        return Emission(self.id, at_ms, "", body + bytes((sum(body) & 0xFF,)), self._gauge.told())
