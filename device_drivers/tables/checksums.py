"""Check sums that frames end with, by name, and where a frame keeps its own."""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from device_drivers.field_rows import Table

if TYPE_CHECKING:
    from collections.abc import Callable

_MODBUS_POLYNOMIAL: Final = 0xA001
_CCITT_POLYNOMIAL: Final = 0x1021
_KERMIT_POLYNOMIAL: Final = 0x8408
_CRC8_POLYNOMIAL: Final = 0x07


def _low_bit_first(value: int, polynomial: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (polynomial if value & 1 else 0)
    return value


def _ccitt_row(value: int) -> int:
    value <<= 8
    for _ in range(8):
        value = value << 1 ^ (_CCITT_POLYNOMIAL if value & 0x8000 else 0)
    return value & 0xFFFF


def _crc8_row(value: int) -> int:
    for _ in range(8):
        value = value << 1 ^ (_CRC8_POLYNOMIAL if value & 0x80 else 0)
    return value & 0xFF


_MODBUS: Final = tuple(_low_bit_first(value, _MODBUS_POLYNOMIAL) for value in range(256))
_KERMIT: Final = tuple(_low_bit_first(value, _KERMIT_POLYNOMIAL) for value in range(256))
_CCITT: Final = tuple(map(_ccitt_row, range(256)))
_CRC8: Final = tuple(map(_crc8_row, range(256)))


def crc16_modbus(data: bytes) -> int:
    """MODBUS over Serial Line V1.02, section 6.2.2; on the line its low byte comes first."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _MODBUS[(value ^ byte) & 0xFF]
    return value


def crc16_ccitt(data: bytes) -> int:
    """ITU-T V.41's polynomial from 0xFFFF, high bit first, as microcontrollers' manuals mean it."""
    value = 0xFFFF
    for byte in data:
        value = value << 8 & 0xFFFF ^ _CCITT[value >> 8 ^ byte]
    return value


def crc16_kermit(data: bytes) -> int:
    """ITU-T V.41's polynomial from 0, low bit first."""
    value = 0
    for byte in data:
        value = value >> 8 ^ _KERMIT[(value ^ byte) & 0xFF]
    return value


def crc8(data: bytes) -> int:
    """The polynomial x^8 + x^2 + x + 1 from 0, high bit first, as ITU-T I.432.1 has it without its last step."""
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


SUMS: Final[dict[str, tuple[int, Callable[[bytes], int]]]] = {
    "sum8": (1, lambda data: sum(data) & 0xFF),
    "sum16": (2, lambda data: sum(data) & 0xFFFF),
    "negated_sum8": (1, lambda data: -sum(data) & 0xFF),
    "inverted_sum8": (1, lambda data: ~sum(data) & 0xFF),
    "xor8": (1, lambda data: reduce(xor, data, 0)),
    "crc8": (1, crc8),
    "crc16_modbus": (2, crc16_modbus),
    "crc16_ccitt": (2, crc16_ccitt),
    "crc16_kermit": (2, crc16_kermit),
}
"""Bytes of each sum, and what works it out."""


class Checksum(Table):
    """The sum that a frame keeps of its own bytes. Places below zero are counted from the frame's end."""

    kind: Literal[
        "sum8", "sum16", "negated_sum8", "inverted_sum8", "xor8", "crc8", "crc16_modbus", "crc16_ccitt", "crc16_kermit"
    ]
    """`negated_sum8` is the two's complement, also called LRC."""
    first: Annotated[int, Field(alias="from", ge=0)] = 0
    to: int
    """The first byte that is not summed."""
    at: int
    byte_order: Literal["big", "little"] = "big"

    @model_validator(mode="after")
    def _is_in_the_frame(self) -> Self:
        if 0 <= self.to <= self.first:
            raise ValueError("no bytes are summed: `to` is not behind `from`")
        if -self.size < self.at < 0:
            raise ValueError(f"{self.kind} takes {self.size} bytes: they do not fit behind `at`")
        return self

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return SUMS[self.kind][0]

    def renewed(self, frame: bytes) -> bytes:
        """The frame with the sum that its bytes have."""
        end = self.at + self.size or None
        total = SUMS[self.kind][1](frame[self.first : self.to]).to_bytes(self.size, self.byte_order)
        return frame[: self.at] + total + (frame[end:] if end is not None else b"")

    def checker(self) -> Callable[[bytes], bool]:
        """What says whether a whole frame's sum is right."""
        first, to, at, order = self.first, self.to, self.at, self.byte_order
        size, work_out = SUMS[self.kind]
        end = at + size or None  # a sum that ends the frame ends at no index below zero

        def is_right(frame: bytes) -> bool:
            kept = frame[at:end]
            return len(kept) == size and work_out(frame[first:to]) == int.from_bytes(kept, order)

        return is_right
