"""Tells a write-ahead log that a disk has damaged from one whose last transaction a power cut has torn.

SQLite takes a log up to its first frame that does not check, and forgets what is behind: right after a power cut,
where nothing behind was ever acknowledged; wrong where a disk has changed a frame in the middle. Each frame's checksum
goes on from the one before it (SQLite, "Database File Format", section 4), so frames behind a changed one still check.
Every commit is synced before the next transaction is written: behind the fault, a frame that goes on from a commit, or
a second commit, proves that the changed frame was once on the disk as it should be. Other frames do not: a transaction
that failed leaves them, and the next one is written over its beginning.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    from pathlib import Path

_HEADER: Final = struct.Struct(">IIIIIIII")
_FRAME: Final = struct.Struct(">IIIIII")
_BIG_ENDIAN: Final = 0x377F0683
_LITTLE_ENDIAN: Final = 0x377F0682
_MASK: Final = 0xFFFFFFFF


def is_damaged(database: Path, log: Path) -> bool:
    """Whether transactions that were on the disk once can no longer be read from this log of a database that nobody
    writes to."""
    content = log.read_bytes() if log.exists() else b""
    if len(content) < _HEADER.size:
        return False
    magic, _, page_size, _, *salt, sum_1, sum_2 = _HEADER.unpack_from(content)
    if magic not in (_BIG_ENDIAN, _LITTLE_ENDIAN) or not 512 <= page_size <= 65_536:
        return any(content)  # the header is synced with the first commit: nothing else ever stands there
    swap = (magic == _LITTLE_ENDIAN) != (sys.byteorder == "little")
    sums, is_broken, commits_behind, follows_commit = (sum_1, sum_2), False, 0, False
    length = _FRAME.size + page_size
    frames = range(_HEADER.size, len(content) - length + 1, length)
    if checked := min(_frames_that_check(database), len(frames)):
        sums = _FRAME.unpack_from(content, frames[checked - 1])[4:]
    for start in frames[checked:]:
        _, size_at_commit, *found = _FRAME.unpack_from(content, start)
        if found[:2] != salt:
            break  # left over from before the log began anew
        page = content[start + _FRAME.size : start + _FRAME.size + page_size]
        is_good = _checksum(content[start : start + 8] + page, sums, swap=swap) == (found[2], found[3])
        sums = found[2], found[3]
        is_commit = size_at_commit > 0
        if is_broken and is_good and (follows_commit or (commits_behind and is_commit)):
            return True
        is_broken = is_broken or not is_good
        follows_commit = is_commit
        commits_behind += is_broken and is_commit
    return False


def _frames_that_check(database: Path) -> int:
    """How many frames SQLite takes at a start, which it checks many times faster; none where it cannot say.

    In exclusive mode it goes by the log alone: an index that another process holds would save it the checking.
    """
    if not database.stat().st_size:
        return 0  # SQLite would delete the log
    try:
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error:
        return 0
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("locking_mode", "EXCLUSIVE")
        connection.pragma("user_version")
        return max(0, connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0])
    except apsw.Error:
        return 0
    finally:
        connection.close()


def _checksum(data: bytes, sums: tuple[int, int], *, swap: bool) -> tuple[int, int]:
    """The checksum of section 4.2, going on from `sums`."""
    words = array("I", data)
    if swap:
        words.byteswap()
    first, second = sums
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
