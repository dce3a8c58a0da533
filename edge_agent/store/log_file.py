"""What is done to the write-ahead log behind SQLite's back, so that a disk that failed once takes nothing later.

When an fsync fails, Linux takes the pages for clean: what is read back is what was written, and no later fsync brings
it to the disk (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020, section 3). SQLite
would find a whole transaction there at the next start and write others behind it; a power cut would leave a hole.

A transaction for which there is no room leaves frames behind the log's end. Under the first frame of the next one, torn
by a power cut, they would look like transactions that follow a damaged one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    from pathlib import Path

_PIECE: Final = 1 << 16  # SQLite's own file system writes less than 128 KiB at once
_SYNC_FULL: Final = 3
_HEADER: Final = 32
_FRAME_HEADER: Final = 24


def rewrite(log: Path, vfs: str | None) -> None:
    """Write the bytes of a log that nobody has open where they stand, and sync them. Raises `apsw.Error`."""
    file = _opened(log, vfs)
    try:
        for offset in range(0, size := file.xFileSize(), _PIECE):
            file.xWrite(file.xRead(min(_PIECE, size - offset), offset), offset)
        file.xSync(_SYNC_FULL)
    finally:
        file.xClose()


def write_header(log: Path, header: bytes, vfs: str | None) -> None:
    """Put another header into a log that nobody has open, and sync it. Raises `apsw.Error`."""
    file = _opened(log, vfs)
    try:
        file.xWrite(header, 0)
        file.xSync(_SYNC_FULL)
    finally:
        file.xClose()


def trim(log: Path, connection: apsw.Connection, vfs: str | None) -> None:
    """Let the log end with the last transaction in it. Called by its writer, between two. Raises `apsw.Error`."""
    frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    end = _HEADER + frames * (_FRAME_HEADER + connection.pragma("page_size")) if frames > 0 else 0
    file = _opened(log, vfs)
    try:
        if file.xFileSize() > end:
            file.xTruncate(end)
    finally:
        file.xClose()


def _opened(log: Path, vfs: str | None) -> apsw.VFSFile:
    return apsw.VFSFile(vfs or "", str(log), [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
