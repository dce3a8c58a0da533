"""Looks for many byte strings at once in whatever an agent leaves behind, unpacking what is packed."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tests.privacy.canaries import pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

STEM: Final = 6
"""The first bytes of each piece, by which it is found; no piece is shorter."""
_STUFF: Final = re.compile(rb"\0{32,}")
_PACKED: Final = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_LARGEST_UNPACKED: Final = 1 << 24
_DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """A value that should not be there."""

    surface: str
    form: str
    value: str

    def __str__(self) -> str:
        return f"{self.surface}: {self.value!r} as {self.form}"


class Scanner:
    """Knows every piece of every value."""

    def __init__(self, values: Iterable[str]) -> None:
        self._by_stem: dict[bytes, list[tuple[bytes, str, str]]] = {}
        self._begins = np.zeros(1 << 24, dtype=np.bool_)
        """For each three bytes, whether a stem begins with them."""
        for value in values:
            for piece, form in {piece: form for form, piece in pieces(value)}.items():
                assert len(piece) >= STEM, (value, form)
                self._by_stem.setdefault(piece[:STEM], []).append((piece, form, value))
        stems = np.frombuffer(b"".join(self._by_stem), np.uint8).reshape(-1, STEM)
        self._begins[_threes(stems[:, 0], stems[:, 1], stems[:, 2])] = True

    def scan(self, surfaces: Mapping[str, bytes]) -> list[Hit]:
        """Everything that is found, each once for each surface."""
        found: dict[Hit, None] = {}
        for name, data in surfaces.items():
            for part in _unpacked(data, _DEEPEST):
                found |= dict.fromkeys(Hit(name, form, value) for form, value in self._in(part))
        return list(found)

    def _in(self, data: bytes) -> Iterator[tuple[str, str]]:
        stems = self._by_stem
        for stretch in _STUFF.split(data):
            if len(stretch) < STEM:
                continue
            there = np.frombuffer(stretch, np.uint8)[: 3 - STEM]
            for at in np.flatnonzero(self._begins[_threes(there[:-2], there[1:-1], there[2:])]).tolist():
                stem = stretch[at : at + STEM]
                if stem in stems:
                    for piece, form, value in stems[stem]:
                        if stretch.startswith(piece, at) and (form != "crc32" or _stands_alone(stretch, at)):
                            yield form, value


def _threes(first: NDArray[np.uint8], second: NDArray[np.uint8], third: NDArray[np.uint8]) -> NDArray[np.integer[Any]]:
    """Three bytes as one number, for each place."""
    return first.astype(np.uint32) << 16 | second.astype(np.uint32) << 8 | third


def _stands_alone(data: bytes, at: int) -> bool:
    """Whether eight hexadecimal digits are no part of more: among many others they turn up by chance."""
    around = data[at - 1 : at] if at else b"", data[at + 8 : at + 9]
    return not any(each and each in b"0123456789abcdefABCDEF" for each in around)


def _unpacked(data: bytes, deepest: int) -> Iterator[bytes]:
    yield data
    if not deepest:
        return
    whole = memoryview(data)
    for match in _PACKED.finditer(data):
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            inner = unpacker.decompress(whole[match.start() :], _LARGEST_UNPACKED)
        except zlib.error:
            continue
        if inner:
            yield from _unpacked(inner, deepest - 1)
