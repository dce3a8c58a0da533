"""Tells a write-ahead log that a disk has damaged from one whose last transaction a power cut has torn.

SQLite takes a log up to its first frame that does not check, and forgets what is behind: right after a power cut,
where nothing behind was ever acknowledged; wrong where a disk has changed a frame in the middle. Each frame's checksum
goes on from the one before it (SQLite, "Database File Format", section 4), so frames behind a changed one still check.
Every commit is synced before the next transaction is written: behind the fault, a frame that goes on from a commit, or
a second commit, proves that the changed frame was once on the disk as it should be. Other frames do not: a transaction
that failed leaves them, and the next one is written over its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from edge_agent.store.log_header import FRAME, HEADER, checks, checksum, swaps

if TYPE_CHECKING:
    from pathlib import Path


def is_damaged(database: Path, log: Path) -> bool:
    """Whether transactions that were on the disk once can no longer be read from this log of a database that nobody
    writes to."""
    content = log.read_bytes() if log.exists() else b""
    if len(content) < HEADER.size:
        return False
    if not checks(content):
        return any(content)  # the header is synced with the first commit: nothing else ever stands there
    magic, _, page_size, _, *salt, sum_1, sum_2 = HEADER.unpack_from(content)
    swap = swaps(magic)
    sums, is_broken, commits_behind, follows_commit = (sum_1, sum_2), False, 0, False
    length = FRAME.size + page_size
    frames = range(HEADER.size, len(content) - length + 1, length)
    if checked := min(_frames_that_check(database), len(frames)):
        sums = FRAME.unpack_from(content, frames[checked - 1])[4:]
    for start in frames[checked:]:
        _, size_at_commit, *found = FRAME.unpack_from(content, start)
        if found[:2] != salt:
            break  # left over from before the log began anew
        page = content[start + FRAME.size : start + FRAME.size + page_size]
        is_good = checksum(content[start : start + 8] + page, sums, swap=swap) == (found[2], found[3])
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
