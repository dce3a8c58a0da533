"""Plantower particle sensors: frames of big-endian words, sent unasked once a second or so, 9600 8N1.

Source: Plantower, "PMS5003 series data manual" V2.3, appendix I (PMS7003, PMSA003 alike), and the manuals of PMS3003,
PMS5003S, PMS5003T and PMS5003ST V2.6. Every frame is `42 4D`, its length, data words, and the sum of all bytes before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement

if TYPE_CHECKING:
    from device_drivers.contract import Settings

_START: Final = b"BM"
_SIZE: Final = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Word:
    """One data word of the manual's table, counted from 1; the value is the word divided by `divisor`."""

    number: int
    quantity: str
    divisor: int = 1
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The frame of one model: how many data words, and what is in them."""

    words: int
    table: tuple[Word, ...]


_MASS: Final = (
    Word(1, "pm1_cf1"),
    Word(2, "pm25_cf1"),
    Word(3, "pm10_cf1"),
    Word(4, "pm1"),
    Word(5, "pm25"),
    Word(6, "pm10"),
)
_COUNTS_TO_2_5: Final = (  # particles in 0.1 L of air, told per cm3
    Word(7, "particle_count_0_3", 100),
    Word(8, "particle_count_0_5", 100),
    Word(9, "particle_count_1_0", 100),
    Word(10, "particle_count_2_5", 100),
)
_COUNTS: Final = (*_COUNTS_TO_2_5, Word(11, "particle_count_5_0", 100), Word(12, "particle_count_10_0", 100))
_FORMALDEHYDE: Final = (Word(13, "formaldehyde"),)  # thousandths of mg/m3, which are ug/m3


def _climate(first: int) -> tuple[Word, ...]:
    return (Word(first, "temperature", 10, signed=True), Word(first + 1, "humidity", 10))


_PMSX003: Final = Layout(13, (*_MASS, *_COUNTS))
_LAYOUTS: Final = {
    "PMS3003": Layout(9, _MASS),
    "PMS5003S": Layout(13, (*_MASS, *_COUNTS, *_FORMALDEHYDE)),
    "PMS5003T": Layout(13, (*_MASS, *_COUNTS_TO_2_5, *_climate(11))),
    "PMS5003ST": Layout(17, (*_MASS, *_COUNTS, *_FORMALDEHYDE, *_climate(14))),
}


def create(settings: Settings) -> Plantower:
    """The driver for one sensor, by its model."""
    return Plantower(_LAYOUTS.get(settings.model, _PMSX003))


class Plantower:
    """Finds and decodes the frames of one model."""

    def __init__(self, layout: Layout) -> None:
        self._header = _START + _SIZE.pack(2 * layout.words + 2)
        self._length = len(self._header) + 2 * layout.words + 2
        signed = {word.number for word in layout.table if word.signed}
        codes = "".join("h" if number in signed else "H" for number in range(1, layout.words + 1))
        self._words = struct.Struct(f">4x{codes}2x")
        self._table = tuple((word.number - 1, word.quantity, word.divisor) for word in layout.table)

    def split(self, buffer: bytearray) -> list[Frame]:
        """Take every whole frame out of `buffer`, and the bytes that can belong to none; leave the rest.

        A frame whose sum is wrong ends where the next one begins, so that a cut frame costs no other.
        """
        frames: list[Frame] = []
        while True:
            start = buffer.find(self._header)
            if start < 0:
                del buffer[: len(buffer) - self._begun_at_the_end(buffer)]
                return frames
            del buffer[:start]
            if len(buffer) < self._length:
                return frames
            frame = bytes(buffer[: self._length])
            if not _sum_is_right(frame):
                frame = self._up_to_the_next(frame)
            frames.append(Frame(frame))
            del buffer[: len(frame)]

    def decode(self, frame: Frame) -> Decoded:
        """Understand one frame. Raises `FrameRefused`."""
        payload = frame.payload
        if not payload.startswith(self._header):
            raise FrameRefused("header", "the frame does not begin as this model's frames do")
        if len(payload) != self._length:
            raise FrameRefused("length", f"the frame is {len(payload)} bytes long, not {self._length}")
        if not _sum_is_right(payload):
            raise FrameRefused("checksum", "the frame's sum is not that of its bytes")
        words = self._words.unpack(payload)
        if not any(words):
            raise FrameRefused("warming_up", "every word is zero: the fan is still coming up to speed")
        return Decoded.of(Measurement(name, words[index] / divisor) for index, name, divisor in self._table)

    def _up_to_the_next(self, frame: bytes) -> bytes:
        inner = frame.find(self._header, 1)
        return frame[:inner] if inner > 0 else frame[: len(frame) - self._begun_at_the_end(frame)]

    def _begun_at_the_end(self, data: bytes | bytearray) -> int:
        """How many bytes at the end of `data` may be the beginning of a header."""
        for count in range(min(len(self._header) - 1, len(data)), 0, -1):
            if self._header.startswith(data[-count:]):
                return count
        return 0


def _sum_is_right(frame: bytes) -> bool:
    return sum(frame[:-2]) & 0xFFFF == int.from_bytes(frame[-2:], "big")
