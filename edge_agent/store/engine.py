"""Opens the agent's database: one file, one writer, write-ahead log, every commit synced.

apsw brings its own SQLite. Versions before 3.51.3 can corrupt a write-ahead log (SQLite release notes 3.51.3), so
an older one is refused. Two agents on one folder would be two writers: a lock on the folder keeps the second out.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any, Final

import apsw

from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from pathlib import Path

OLDEST_SQLITE: Final = 3_051_003
APPLICATION_ID: Final = 0x42534149  # "BSAI"
SCHEMA_VERSION: Final = 2
FILE_NAME: Final = "agent.db"
LOCK_NAME: Final = "agent.lock"

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE series (id INTEGER PRIMARY KEY, device TEXT NOT NULL, channel TEXT NOT NULL, quantity TEXT NOT NULL,
    UNIQUE (device, channel, quantity)) STRICT;
CREATE TABLE journal (position INTEGER PRIMARY KEY, runs BLOB NOT NULL, counts BLOB NOT NULL,
    receipts BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL, state BLOB NOT NULL) STRICT;
CREATE TABLE counter (id INTEGER PRIMARY KEY, stage TEXT NOT NULL, device TEXT NOT NULL, reason TEXT NOT NULL,
    value INTEGER NOT NULL, UNIQUE (stage, device, reason)) STRICT;
CREATE TABLE receipt (position INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, packets INTEGER NOT NULL,
    marks BLOB NOT NULL) STRICT;
CREATE INDEX receipt_session ON receipt (session, position);
CREATE TABLE quarantine (driver TEXT NOT NULL, reason TEXT NOT NULL, length INTEGER NOT NULL, frames INTEGER NOT NULL,
    PRIMARY KEY (driver, reason, length)) STRICT, WITHOUT ROWID;
CREATE TABLE timetable_day (day INTEGER PRIMARY KEY, hours INTEGER NOT NULL) STRICT;
CREATE TABLE summary (id INTEGER PRIMARY KEY, series TEXT NOT NULL, start_ms INTEGER NOT NULL, line TEXT NOT NULL,
    batch INTEGER, most INTEGER, UNIQUE (series, start_ms)) STRICT;
CREATE INDEX summary_batch ON summary (batch, start_ms);
CREATE TABLE batch (epoch TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    body BLOB, body_sha256 BLOB NOT NULL, head BLOB NOT NULL, summaries INTEGER NOT NULL, sealed_ms INTEGER NOT NULL,
    oldest_ms INTEGER, PRIMARY KEY (epoch, sequence)) STRICT;
"""


class StoreBusy(EnvironmentFault):
    """Another agent owns the folder."""

    code = "store_busy"


class StoreUnusable(EnvironmentFault):
    """The folder or its disk cannot hold a store."""

    code = "store_unusable"


def lock(folder: Path) -> int:
    """Take the folder for this process; the returned descriptor holds the lock until it is closed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreUnusable(
            f"cannot write into {folder}: {error.strerror}", fix=f"let the agent's user own {folder}"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreBusy(
            f"another agent is running on {folder}", fix="stop it first, or give this one its own"
        ) from None
    return descriptor


def open_writer(folder: Path, *, vfs: str | None = None) -> apsw.Connection:
    """Open the writer's connection, making the database where there is none.

    Raises `apsw.CorruptError` or `apsw.NotADBError` for a file that is no longer a database.
    """
    path = folder / FILE_NAME
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        _configure(connection)
        _begin_or_check(connection, path)
    except BaseException:
        connection.close()  # else it would close late, and take a later file's log away with it
        raise
    sync_folder(folder)
    return connection


def _begin_or_check(connection: apsw.Connection, path: Path) -> None:
    if not connection.pragma("user_version"):
        with connection:
            connection.execute(_SCHEMA)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", SCHEMA_VERSION)
        return
    _check_schema(connection, path)
    if connection.pragma("quick_check") != "ok":
        raise apsw.CorruptError("quick_check found damage")


def _check_schema(connection: apsw.Connection, path: Path) -> None:
    found = connection.pragma("user_version")
    if found != SCHEMA_VERSION:
        raise StoreUnusable(
            f"{path} has schema {found}; this agent knows {SCHEMA_VERSION}",
            fix="install the agent's version that wrote it, or a newer one",
        )


def open_reader(folder: Path) -> apsw.Connection:
    """Open a second connection that can only read, beside a running agent or without one. Raises `StoreUnusable`."""
    path = folder / FILE_NAME
    if not path.exists():
        raise StoreUnusable(f"there is no store in {folder}", fix="start the agent once: `bansui agent run`")
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(5000)
        connection.pragma("query_only", True)
        _check_schema(connection, path)
    except apsw.Error as error:
        connection.close()
        raise unusable(folder, error) from None
    except StoreUnusable:
        connection.close()
        raise
    return connection


def unusable(folder: Path, error: apsw.Error) -> StoreUnusable:
    """What SQLite says of a file, for a person."""
    return StoreUnusable(
        f"the store in {folder} cannot be used: {type(error).__name__}", fix="check the disk (`df`, `dmesg`)"
    )


def row(connection: apsw.Connection, sql: str, values: tuple[apsw.SQLiteValue, ...] = ()) -> tuple[Any, ...]:
    """The one row of a query that always has one."""
    found = connection.execute(sql, values).fetchone()
    assert found is not None
    return tuple(found)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a new file is only there when its name is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _configure(connection: apsw.Connection) -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version[0] * 1_000_000 + version[1] * 1000 + version[2] < OLDEST_SQLITE:
        raise StoreUnusable(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a write-ahead log", fix="install apsw 3.51.3 or newer"
        )
    connection.set_busy_timeout(5000)
    for name, value in (
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("secure_delete", "ON"),
        ("foreign_keys", "ON"),
    ):
        connection.pragma(name, value)
