"""As much of CBOR (RFC 8949) as SenML uses, and no more (RFC 8428 section 6).

A general reader would make dates, patterns and objects that hold themselves out of a device's bytes. This one knows
integers, floats, decimal fractions, texts, byte strings, booleans, null, arrays and maps, of definite length or not,
nested as deep as a pack is. Integers are as large as 64 bits.
"""

from __future__ import annotations

import struct
from typing import Any, Final

_DEEPEST: Final = 4
"""A pack is an array of maps whose values are numbers at most."""
_BREAK: Final = object()
_INDEFINITE: Final = 31
_MOST_DIGITS: Final = 300
_SIMPLE: Final[dict[int, Any]] = {20: False, 21: True, 22: None, 23: None}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_DECIMAL_FRACTION: Final = 4


class CborUnreadable(ValueError):
    """Bytes that are no CBOR, or a kind of CBOR that SenML has no use for."""


def loads(data: bytes) -> Any:
    """The one value in `data`. Raises `CborUnreadable`."""
    reader = _Reader(data)
    value = reader.value(0)
    if value is _BREAK or reader.at != len(data):
        raise CborUnreadable
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        """The next value, or `_BREAK`."""
        if depth > _DEEPEST:
            raise CborUnreadable
        (head,) = self._take(1)
        kind, info = head >> 5, head & 31
        if kind == 7:
            return self._simple(info)
        length = None if info == _INDEFINITE else self._length(info)
        if length is None and kind not in (2, 3, 4, 5):
            raise CborUnreadable
        if kind == 4:
            return self._items(length, depth)
        if kind == 5:
            return self._map(length, depth)
        if kind in (2, 3):
            return self._string(kind, length)
        assert length is not None
        return self._number(kind, length, depth)

    def _number(self, kind: int, number: int, depth: int) -> int | float:
        if kind == 0:
            return number
        if kind == 1:
            return -1 - number
        parts = self.value(depth + 1) if number == _DECIMAL_FRACTION else None
        if not (isinstance(parts, list) and len(parts) == 2 and all(type(part) is int for part in parts)):
            raise CborUnreadable
        exponent, mantissa = parts
        if abs(exponent) > _MOST_DIGITS:
            raise CborUnreadable
        return float(f"{mantissa}e{exponent}")

    def _take(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        if len(taken) < count:
            raise CborUnreadable
        self.at += count
        return taken

    def _length(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise CborUnreadable
        return int.from_bytes(self._take(1 << info - 24), "big")

    def _simple(self, info: int) -> Any:
        if info == _INDEFINITE:
            return _BREAK
        if info in _FLOATS:
            size = 1 << info - 24
            return struct.unpack(_FLOATS[info], self._take(size))[0]
        if info not in _SIMPLE:
            raise CborUnreadable
        return _SIMPLE[info]

    def _items(self, length: int | None, depth: int) -> list[Any]:
        if length is not None and length > len(self._data):  # each item takes a byte at least
            raise CborUnreadable
        items: list[Any] = []
        while length is None or len(items) < length:
            item = self.value(depth + 1)
            if item is _BREAK:
                if length is not None:
                    raise CborUnreadable
                break
            items.append(item)
        return items

    def _map(self, length: int | None, depth: int) -> dict[Any, Any]:
        items = self._items(None if length is None else 2 * length, depth)
        if len(items) % 2 or not all(type(key) in (int, str) for key in items[::2]):
            raise CborUnreadable
        return dict(zip(items[::2], items[1::2], strict=True))

    def _string(self, kind: int, length: int | None) -> str | bytes:
        if length is None:
            chunks = bytearray()
            while self._data[self.at : self.at + 1] != b"\xff":
                (head,) = self._take(1)
                if head >> 5 != kind or head & 31 == _INDEFINITE:
                    raise CborUnreadable
                chunks += self._take(self._length(head & 31))
            self.at += 1
            content = bytes(chunks)
        else:
            content = self._take(length)
        if kind == 2:
            return content
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise CborUnreadable from None
