"""Opens the inbox's file: one centre to a folder, write-ahead log, every commit synced."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final, TextIO

import apsw

from cloud_sink.inbox.schema import bring_up_to_date
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "inbox.sqlite"
_OLDEST_SQLITE: Final = (3, 51, 3)


def open_file(folder: Path, vfs: str | None = None) -> apsw.Connection:
    """Open or make the inbox's file, at this version's schema. Raises `EnvironmentFault`, `apsw.Error`."""
    check_sqlite()
    path = folder / FILE_NAME
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        bring_up_to_date(connection, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def check_sqlite() -> None:
    """Raise `EnvironmentFault` when the SQLite at hand can corrupt a write-ahead log."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _OLDEST_SQLITE:
        raise EnvironmentFault(
            f"SQLite {apsw.sqlite_lib_version()} is too old",
            why="before 3.51.3 a write-ahead log can be corrupted",
            fix="pip install 'apsw>=3.51.3'",
        )


def lock_folder(folder: Path) -> TextIO:
    """Take the folder for this centre, until the returned file is closed. Raises `EnvironmentFault`."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise EnvironmentFault(
            "another centre has this state folder open", where=str(folder), fix="stop it, or give this one its own"
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
