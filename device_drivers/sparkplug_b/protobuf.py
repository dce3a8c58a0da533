"""The wire format of protocol buffers, read and written field by field (protobuf.dev, "Encoding").

Sparkplug has one small message. Its fields are walked here, within the bytes of the frame: nothing is generated, and
groups, which it does not use, are refused.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT: Final = 10
_WORD: Final = (1 << 64) - 1

Field: TypeAlias = "tuple[int, int, int | bytes]"
"""A field's number, its wire type, and its value: an integer, or bytes as they stand."""


class WireFormatUnreadable(ValueError):
    """Bytes that are no fields of protocol buffers."""


def fields(data: bytes) -> Iterator[Field]:
    """Every field of a message, in order. Raises `WireFormatUnreadable`."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        value: int | bytes
        if number == 0:
            raise WireFormatUnreadable
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            value, at = _bytes(data, at, 8 if kind == FIXED64 else 4)
        elif kind == BYTES:
            length, at = _varint(data, at)
            value, at = _bytes(data, at, length)
        else:
            raise WireFormatUnreadable
        yield number, kind, value


def integer(kind: int, value: int | bytes) -> int:
    """The value of a field that is an integer. Raises `WireFormatUnreadable`."""
    if kind != VARINT or not isinstance(value, int):
        raise WireFormatUnreadable
    return value


def flag(kind: int, value: int | bytes) -> bool:
    """The value of a field that is a flag. Raises `WireFormatUnreadable`."""
    return integer(kind, value) != 0


def content(kind: int, value: int | bytes) -> bytes:
    """The value of a field that is a message or a string of bytes. Raises `WireFormatUnreadable`."""
    if kind != BYTES or not isinstance(value, bytes):
        raise WireFormatUnreadable
    return value


def text(kind: int, value: int | bytes) -> str:
    """The value of a field that is a text. Raises `WireFormatUnreadable`."""
    try:
        return content(kind, value).decode("utf-8")
    except UnicodeDecodeError:
        raise WireFormatUnreadable from None


def floating(kind: int, value: int | bytes) -> float:
    """The value of a field that is a float or a double. Raises `WireFormatUnreadable`."""
    if kind not in (FIXED32, FIXED64) or not isinstance(value, bytes):
        raise WireFormatUnreadable
    number: float
    (number,) = struct.unpack("<d" if kind == FIXED64 else "<f", value)
    return number


def integer_field(number: int, value: int) -> bytes:
    """A field that holds an integer from 0 on."""
    return _encoded(number << 3 | VARINT) + _encoded(value)


def content_field(number: int, value: bytes) -> bytes:
    """A field that holds a message or a string of bytes."""
    return _encoded(number << 3 | BYTES) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:  # as most are
        return data[at], at + 1
    value = 0
    for place, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & _WORD, at + place + 1
    raise WireFormatUnreadable


def _bytes(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    if at + count > len(data):
        raise WireFormatUnreadable
    return data[at : at + count], at + count
