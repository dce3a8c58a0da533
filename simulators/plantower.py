"""Plantower PMS5003 particle sensors, in active mode.

Format: Plantower PMS5003 series data manual V2.3, appendix I "PMS5003 transport protocol - active mode":
32 bytes, 42 4D, the length 28 as a big-endian word, thirteen big-endian words, and the sum of the thirty bytes
before it as a word. 9600 baud, no parity, one stop bit.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from simulators.emissions import Emission

if TYPE_CHECKING:
    from random import Random

    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

MODEL: Final = "PMS5003"
BAUD: Final = 9600
FRAME_BYTES: Final = 32
_VERSION: Final = 0x9700
"""Data word 13 is reserved; devices in the field send a version there, and no error."""


class PlantowerSensor:
    """One sensor, that speaks once a cadence."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Random) -> None:
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._room, self._rng = room, rng

    def emit(self, at_ms: int) -> Emission:
        """The frame of that moment."""
        fine = max(0.0, self._room.air.pm25 * (1 + self._rng.gauss(0.0, 0.03)))
        air = [round(fine * 0.66), round(fine), round(fine * 1.18)]
        # above 30 ug/m3 the "standard particle" figures run ahead of the atmospheric ones
        standard = [value if value < 30 else round(value * 1.5 - 15) for value in air]
        counts = [round(fine * share) for share in (170.0, 48.0, 9.5, 0.9, 0.25, 0.08)]
        words = [min(0xFFFF, word) for word in (*standard, *air, *counts)]
        names = (
            *("pm1_cf1", "pm25_cf1", "pm10_cf1", "pm1", "pm25", "pm10"),
            *(f"particle_count_{size}" for size in ("0_3", "0_5", "1_0", "2_5", "5_0", "10_0")),
        )
        # counts are of 0.1 L of air; the vocabulary counts in a cubic centimetre
        values = [float(word) for word in words[:6]] + [word / 100 for word in words[6:]]
        return Emission(self.id, at_ms, "", frame(words), tuple(zip(names, values, strict=True)))


def frame(words: list[int]) -> bytes:
    """The 32 bytes that carry twelve measured words."""
    body = b"BM" + struct.pack(">H12HH", 2 * 13 + 2, *words, _VERSION)
    return body + struct.pack(">H", sum(body))
