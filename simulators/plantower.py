"""Plantower PMS5003 particle sensors on pseudo-terminals, in active mode.

Format: Plantower PMS5003 series data manual V2.3, appendix I "PMS5003 transport protocol - active mode":
32 bytes, 42 4D, the length 28 as a big-endian word, thirteen big-endian words, and the sum of the thirty bytes
before it as a word. 9600 baud, no parity, one stop bit.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import struct
import termios
import tty
from typing import TYPE_CHECKING, Final

from simulators.emissions import Emission
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from random import Random

    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

MODEL: Final = "PMS5003"
BAUD: Final = 9600
FRAME_BYTES: Final = 32
_VERSION: Final = 0x9700
"""Data word 13 is reserved; devices in the field send a version there, and no error."""
_MOST_UNREAD: Final = 4 * FRAME_BYTES


class NoPseudoTerminal(EnvironmentFault):
    """The machine has no pseudo-terminal to give."""

    code = "no_pty"


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


class SerialLine:
    """A pseudo-terminal whose far end an agent opens as a serial port.

    Bytes that nobody reads are lost, as on a real line: when more than a few frames lie unread, they go.
    """

    def __init__(self) -> None:
        try:
            self._near, self._far = os.openpty()
        except OSError as error:
            raise NoPseudoTerminal(
                f"no pseudo-terminal could be opened: {error}",
                why="the particle sensors of a scenario speak over serial lines",
                fix="mount /dev/pts, or raise kernel.pty.max",
            ) from None
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self.port = os.ttyname(self._far)

    @property
    def near(self) -> int:
        """The descriptor of the devices' end; -1 when it is closed."""
        return self._near

    def write(self, data: bytes) -> bool:
        """Put a frame on the line; false when the line could not take it."""
        unread = array.array("i", [0])
        fcntl.ioctl(self._far, termios.FIONREAD, unread)
        if unread[0] > _MOST_UNREAD:
            termios.tcflush(self._far, termios.TCIFLUSH)
        try:
            return os.write(self._near, data) == len(data)
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Give the pseudo-terminal back; harmless when it is closed already."""
        for descriptor in (self._near, self._far):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._near = self._far = -1
