"""Opens the inbox's file: write-ahead log, every commit synced, whole as far as it can be told."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

import apsw

from cloud_sink import state_folder
from cloud_sink.inbox.checking import check
from cloud_sink.inbox.salvage import salvage
from cloud_sink.inbox.schema import bring_up_to_date
from cloud_sink.inbox.transaction import transaction
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "inbox.sqlite"
MOST_ASIDE: Final = 3
"""Damaged files that are kept, the newest: a disk that fails again and again would fill with them."""
_REPLACEMENT: Final = f"{FILE_NAME}.replacement"
_OLDEST_SQLITE: Final = (3, 51, 3)
_DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)
_FILE_IS_DAMAGED: Final = frozenset({apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS})
_PIECE: Final = 1 << 16
_SYNC_FULL: Final = 3
_log = logging.getLogger(__name__)


def open_file(folder: Path, projected: int = 0, vfs: str | None = None) -> apsw.Connection:
    """Open or make the inbox's file, at this version's schema; batches it takes go behind position `projected`.

    A damaged one is moved aside, and what can be kept of it goes into the one that takes its place.
    Raises `EnvironmentFault`.
    """
    check_sqlite()
    _end_replacing(folder)
    try:
        try:
            connection = _open_whole(folder / FILE_NAME, projected, vfs)
        except apsw.Error as error:
            if not _is_damage(error):
                raise
            kept = _prepare_replacement(folder, projected)
            aside = _end_replacing(folder)
            _log.error(
                "the inbox is damaged (%s): moved aside as %s; %d marks kept, agents send again what is missing",
                error,
                aside,
                kept,
            )
            connection = _open_whole(folder / FILE_NAME, projected, vfs)
    except apsw.Error as error:
        raise EnvironmentFault(
            f"the inbox cannot be opened: {error}",
            where=str(folder / FILE_NAME),
            fix="look at the disk (`df`, `dmesg`)",
        ) from None
    state_folder.sync(folder)
    return connection


def close_file(connection: apsw.Connection, *, is_sound: bool) -> None:
    """End in order, so that everything is in the file and the file says so; after a fault of the disk, as it is."""
    try:
        if is_sound:
            _note_open(connection, is_open=False)
    except apsw.Error:
        is_sound = False  # the disk may be gone, and with it nothing that was acknowledged
    _close(connection, keep_log=not is_sound)


def set_aside(folder: Path) -> list[str]:
    """The damaged files that lie beside the inbox until somebody has looked at them."""
    return sorted(path.name for path in folder.glob(f"{FILE_NAME}.corrupt-*") if not path.name.endswith("-wal"))


def check_sqlite() -> None:
    """Raise `EnvironmentFault` when the SQLite at hand can corrupt a write-ahead log."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _OLDEST_SQLITE:
        raise EnvironmentFault(
            f"SQLite {apsw.sqlite_lib_version()} is too old",
            why="before 3.51.3 a write-ahead log can be corrupted",
            fix="pip install 'apsw>=3.51.3'",
        )


def _open_whole(path: Path, projected: int, vfs: str | None) -> apsw.Connection:
    had_log = _log_of(path).exists()
    if had_log:
        _rewrite(_log_of(path), vfs)
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        _configure(connection)
        bring_up_to_date(connection, str(path))
        _check_log(connection, had_log=had_log)
        check(connection, projected)
        with contextlib.suppress(apsw.FullError):
            _note_open(connection, is_open=True)
    except BaseException:
        _close(connection, keep_log=True)
        raise
    return connection


def _rewrite(log: Path, vfs: str | None) -> None:
    """Bring the log to the disk again before anything is built on it.

    When an fsync fails, Linux takes the pages for clean: what is read back is what was written, and no later fsync
    brings it to the disk (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020,
    section 3). SQLite would find a whole transaction there, and build on what the next power cut takes away.
    """
    file = apsw.VFSFile(vfs or "", str(log), [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        for offset in range(0, size := file.xFileSize(), _PIECE):
            file.xWrite(file.xRead(min(_PIECE, size - offset), offset), offset)
        file.xSync(_SYNC_FULL)
    finally:
        file.xClose()


def _close(connection: apsw.Connection, *, keep_log: bool) -> None:
    """Let the file go; its log may hold what the file does not."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(keep_log))
    with contextlib.suppress(apsw.Error):
        connection.close()


def _configure(connection: apsw.Connection) -> None:
    if connection.pragma("journal_mode", "wal") != "wal":  # where the disk fails it, SQLite stays with the other mode
        raise apsw.IOError("the write-ahead log cannot be begun")
    connection.pragma("synchronous", "FULL")
    connection.pragma("foreign_keys", True)


def _is_damage(error: apsw.Error) -> bool:
    """Whether SQLite says that the file is not what was written, and not that the disk does not answer."""
    return isinstance(error, _DAMAGE) or getattr(error, "extendedresult", None) in _FILE_IS_DAMAGED


def _check_log(connection: apsw.Connection, *, had_log: bool) -> None:
    if not had_log and connection.execute("SELECT 1 FROM note WHERE name = 'open'").fetchone():
        raise apsw.CorruptError("the write-ahead log is gone, and with it what was in it")


def _note_open(connection: apsw.Connection, *, is_open: bool) -> None:
    """Let the file itself say whether it is whole without its log: that goes only with a planned end."""
    sql = "INSERT OR REPLACE INTO note VALUES ('open')" if is_open else "DELETE FROM note WHERE name = 'open'"
    with transaction(connection):
        connection.execute(sql)
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _prepare_replacement(folder: Path, projected: int) -> int:
    """Make the file that takes the damaged one's place, whole and closed; how many marks it keeps."""
    unfinished = folder / f"{_REPLACEMENT}.part"
    for path in (unfinished, _log_of(unfinished)):
        path.unlink(missing_ok=True)
    connection = apsw.Connection(str(unfinished))
    try:
        connection.execute("PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA")
        bring_up_to_date(connection, str(unfinished))
        kept = salvage(folder / FILE_NAME, connection, projected)
    finally:
        connection.close()
    unfinished.rename(folder / _REPLACEMENT)
    state_folder.sync(folder)
    return kept


def _end_replacing(folder: Path) -> str:
    """Put a replacement that is ready in its place, also after a crash in the middle of it; the damaged file's name."""
    numbers = [name.rpartition("-")[2] for name in set_aside(folder)]
    asides = sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)
    aside = _aside(max([time.time_ns(), *(number + 1 for number in asides)]))  # a clock may have been set back
    if (folder / _REPLACEMENT).exists():
        path = folder / FILE_NAME
        for damaged, name in ((_log_of(path), f"{aside}-wal"), (path, aside)):  # its log must not meet the new file
            if damaged.exists():
                damaged.rename(folder / name)
        (folder / f"{FILE_NAME}-shm").unlink(missing_ok=True)
        (folder / _REPLACEMENT).rename(path)
        for number in asides[MOST_ASIDE - 1 :]:
            for old in (folder / _aside(number), _log_of(folder / _aside(number))):
                with contextlib.suppress(OSError):  # one that the disk does not let go of stays
                    old.unlink()
        state_folder.sync(folder)
    return aside


def _aside(number: int) -> str:
    return f"{FILE_NAME}.corrupt-{number}"


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
