"""The header of a write-ahead log, and what it must have been where a disk has changed it.

SQLite takes a log whose header does not check for none at all, and all that was committed to it is gone without a word
(SQLite, "Database File Format", section 4). But most of it stands elsewhere, too: the page size in the database, the
salts in every frame; and the checksum of the first frame goes on from the header's. So one of the two, what the header
says or its checksum, is enough to tell the other.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER: Final = struct.Struct(">IIIIIIII")
"""Magic, version, page size, how often the log began anew, two salts, checksum."""
FRAME: Final = struct.Struct(">IIIIII")
"""Page, size at a commit, two salts, checksum."""
FIRST_FRAME_ENDS: Final = HEADER.size + FRAME.size + 65_536
"""At the latest: no page is larger."""
_BIG_ENDIAN: Final = 0x377F0683
_LITTLE_ENDIAN: Final = 0x377F0682
_VERSION: Final = 3_007_000
_PAGE_SIZES: Final = frozenset(1 << power for power in range(9, 17))
_SAID: Final = 24
"""Bytes of the header under its checksum."""
_PAGE_SIZE_AT: Final = 16
_WORD: Final = 1 << 32


def checks(content: bytes) -> bool:
    """Whether a log's header is as SQLite wrote it."""
    magic, version, page_size, *_, sum_1, sum_2 = HEADER.unpack_from(content)
    is_known = magic in (_BIG_ENDIAN, _LITTLE_ENDIAN) and version == _VERSION and page_size in _PAGE_SIZES
    return is_known and checksum(content[:_SAID], (0, 0), swap=swaps(magic)) == (sum_1, sum_2)


def restored(database: Path, content: bytes) -> bytes | None:
    """The header that a log must have had; None where that cannot be told. `content` is the log's, as far as the end of
    its first frame at least. Raises OSError."""
    with database.open("rb") as file:
        start = file.read(_PAGE_SIZE_AT + 2)
    page_size = int.from_bytes(start[_PAGE_SIZE_AT:], "big")
    page_size = 65_536 if page_size == 1 else page_size
    if page_size not in _PAGE_SIZES or len(content) < HEADER.size + FRAME.size + page_size:
        return None
    return next(
        (found for found in _candidates(content, page_size) if _leads_to_first(found, content, page_size)), None
    )


def swaps(magic: int) -> bool:
    """Whether words under a checksum are in the other order than this machine's."""
    return (magic == _LITTLE_ENDIAN) != (sys.byteorder == "little")


def checksum(data: bytes, sums: tuple[int, int], *, swap: bool) -> tuple[int, int]:
    """The checksum of section 4.2, going on from `sums`."""
    words = array("I", data)
    if swap:
        words.byteswap()
    first, second = sums
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) % _WORD
        second = (second + odd + first) % _WORD
    return first, second


def _candidates(content: bytes, page_size: int) -> Iterator[bytes]:
    """Headers that check: one that says what stands there, and those that have the checksum that stands there."""
    *_, sum_1, sum_2 = HEADER.unpack_from(content)
    salts = FRAME.unpack_from(content, HEADER.size)[2:4]
    for magic in (_BIG_ENDIAN, _LITTLE_ENDIAN):
        yield content[:_SAID] + struct.pack(">II", *checksum(content[:_SAID], (0, 0), swap=swaps(magic)))
        # How often the log began anew stands nowhere else, and is added to the first sum once.
        said = HEADER.pack(magic, _VERSION, page_size, 0, *salts, 0, 0)[:_SAID]
        without, _ = checksum(said, (0, 0), swap=swaps(magic))
        began = ((sum_1 - without) % _WORD).to_bytes(4, "big" if magic == _BIG_ENDIAN else "little")
        yield HEADER.pack(magic, _VERSION, page_size, int.from_bytes(began, "big"), *salts, sum_1, sum_2)


def _leads_to_first(header: bytes, content: bytes, page_size: int) -> bool:
    """Whether a header checks, and the first frame, with a page of this size, goes on from it."""
    magic, _, said_size, _, *said = HEADER.unpack(header)
    if said_size != page_size or not checks(header):
        return False
    _, _, *found = FRAME.unpack_from(content, HEADER.size)
    start = HEADER.size + FRAME.size
    summed = content[HEADER.size : HEADER.size + 8] + content[start : start + page_size]
    is_next = checksum(summed, (said[2], said[3]), swap=swaps(magic)) == (found[2], found[3])
    return is_next and said[:2] == found[:2]
