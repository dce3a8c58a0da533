"""Opens the agent's database: one file, one writer, write-ahead log, every commit synced.

apsw brings its own SQLite. Versions before 3.51.3 can corrupt a write-ahead log (SQLite release notes 3.51.3), so
an older one is refused. Two agents on one folder would be two writers: a lock on the folder keeps the second out.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import apsw

from edge_agent.store import log_check, log_file, log_header, schema
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

OLDEST_SQLITE: Final = 3_051_003
FILE_NAME: Final = "agent.db"
LOG_NAME: Final = f"{FILE_NAME}-wal"
LOCK_NAME: Final = "agent.lock"
_USED: Final = """
SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""
_OWNER_ALONE: Final = 0o600
_NEEDED: Final = {True: os.R_OK | os.W_OK, False: os.R_OK}
"""To read a store, by whether its disk takes writing: SQLite's readers write into the index of its log."""
LOG_IS_GONE: Final = "the write-ahead log is gone, and with it what was in it"


class StoreBusy(EnvironmentFault):
    """Another agent owns the folder."""

    code = "store_busy"


class StoreUnusable(EnvironmentFault):
    """The folder or its disk cannot hold a store."""

    code = "store_unusable"


class StoreDamaged(StoreUnusable):
    """The file of the store is no database any more."""


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

    Raises `apsw.CorruptError` or `apsw.NotADBError` for a file that is no longer a database, or whose log the disk
    cannot read.
    """
    path, log = folder / FILE_NAME, folder / LOG_NAME
    try:
        _keep_to_owner(path)
        had_log = log.exists()
        if had_log:
            _mend_header(path, log, vfs)
        is_damaged = had_log and log_check.is_damaged(path, log)
    except OSError as error:
        if error.errno == errno.EIO:
            raise apsw.CorruptError("the write-ahead log cannot be read") from None
        raise StoreUnusable(
            f"the store in {folder} cannot be opened: {error.strerror}", fix=f"let the agent's user own {folder}"
        ) from None
    if is_damaged:
        raise apsw.CorruptError("the write-ahead log is damaged")
    if had_log:
        log_file.rewrite(log, vfs)
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        _configure(connection)
        _begin_or_check(connection, path, had_log=had_log)
    except BaseException:
        abandon(connection)  # else it would close late, and take a later file's log away with it
        raise
    sync_folder(folder)
    return connection


def _mend_header(path: Path, log: Path, vfs: str | None) -> None:
    """Put a log's header right where a disk has changed it: with one that does not check, SQLite takes no log."""
    with log.open("rb") as file:
        start = file.read(log_header.FIRST_FRAME_ENDS)
    if len(start) < log_header.HEADER.size or log_header.checks(start):
        return
    if (header := log_header.restored(path, start)) is not None:
        log_file.write_header(log, header, vfs)
        _log.error("the write-ahead log's header was damaged, and is restored: nothing is lost")


def _keep_to_owner(path: Path) -> None:
    """Make the file for its owner alone, whatever the umask; SQLite gives its log the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ALONE))
    for each in path.parent.glob(f"{path.name}*"):
        if each.stat().st_mode & ~_OWNER_ALONE & 0o777:
            each.chmod(_OWNER_ALONE)


def _begin_or_check(connection: apsw.Connection, path: Path, *, had_log: bool) -> None:
    found = connection.pragma("user_version")
    if not found:
        with transaction(connection):
            schema.create(connection)
    elif not (found <= schema.VERSION and schema.can_migrate(found)):
        raise _other_schema(path, found)
    elif connection.pragma("quick_check") != "ok":
        raise apsw.CorruptError("quick_check found damage")
    elif not had_log and _is_noted_open(connection):
        raise apsw.CorruptError(LOG_IS_GONE)
    if 0 < found < schema.VERSION:
        with transaction(connection):
            schema.migrate(connection, found)
    _note_open(connection, is_open=True)


def _is_noted_open(connection: apsw.Connection) -> bool:
    return connection.execute("SELECT 1 FROM meta WHERE name = 'open'").fetchone() is not None


def _note_open(connection: apsw.Connection, *, is_open: bool) -> None:
    """Let the file itself say whether it is whole without its log: that goes only with a planned end."""
    sql = "INSERT OR REPLACE INTO meta VALUES ('open', '1')" if is_open else "DELETE FROM meta WHERE name = 'open'"
    with transaction(connection):
        connection.execute(sql)
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _check_readable(connection: apsw.Connection, path: Path) -> None:
    found = connection.pragma("user_version")
    if not found or not row(connection, "SELECT count(*) FROM meta WHERE name = 'epoch'")[0]:
        raise no_store(path.parent)
    if found < schema.VERSION and schema.can_migrate(found):
        fix = "start the agent once: `bansui agent run` brings it up to date"
        raise StoreUnusable(f"{path} has schema {found}, an earlier one", fix=fix)
    if found != schema.VERSION:
        raise _other_schema(path, found)


def _other_schema(path: Path, found: int) -> StoreUnusable:
    return StoreUnusable(
        f"{path} has schema {found}; this agent knows {schema.VERSION}",
        fix="install the agent's version that wrote it, or a newer one",
    )


def no_store(folder: Path) -> StoreUnusable:
    """What to say where no agent has run yet."""
    return StoreUnusable(f"there is no store in {folder}", fix="start the agent once: `bansui agent run`")


def open_reader(folder: Path) -> apsw.Connection:
    """Open a second connection that can only read, beside a running agent or without one. Raises `StoreUnusable`.

    A store that has lost its log, or stands on a disk that takes no writing, is read as it is: SQLite would make an
    empty log, and the next start would not see that one is missing.
    """
    path = folder / FILE_NAME
    try:
        if not path.exists():
            raise no_store(folder)
        takes_writing = not os.statvfs(folder).f_flag & os.ST_RDONLY
        if not all(os.access(each, _NEEDED[takes_writing], effective_ids=True) for each in (folder, path)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StoreUnusable(
            f"the store in {folder} cannot be opened: {error.strerror}",
            fix=f"run this as the agent's user, who owns {folder}",
        ) from None
    try:
        if not (folder / LOG_NAME).exists():
            connection = _configured_reader(path, "?immutable=1")
            if not takes_writing or _is_noted_open(connection):
                return connection
            connection.close()
        return _configured_reader(path)
    except apsw.Error as error:
        if takes_writing:
            raise unusable(folder, error) from None
        raise StoreUnusable(
            f"the store in {folder} cannot be read on a disk that takes no writing",
            fix="copy the folder to another disk, and look at it there",
        ) from None


def _configured_reader(path: Path, how: str = "") -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(str(path))}{how}", flags=flags)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # the log is its writer's
        connection.set_busy_timeout(5000)
        connection.pragma("query_only", True)
        _check_readable(connection, path)
    except (apsw.Error, StoreUnusable):
        connection.close()
        raise
    return connection


def has_lost_log(connection: apsw.Connection, folder: Path) -> bool:
    """Whether a store that is read lacks the log that belongs to it."""
    return not (folder / LOG_NAME).exists() and _is_noted_open(connection)


@contextlib.contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All of the block's statements or none; committed when it ends.

    With no room left SQLite may have undone everything by itself ("Result Codes", SQLITE_FULL).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def close_writer(connection: apsw.Connection) -> None:
    """End in order where that is possible: the disk may be gone, and with it nothing that was acknowledged."""
    with contextlib.suppress(apsw.Error):
        finish(connection)


def finish(connection: apsw.Connection) -> None:
    """End in order: what was in the log is in the file, and the file says that nothing is missing.

    Raises `apsw.Error`; the log stays where it is then.
    """
    try:
        _note_open(connection, is_open=False)
    except apsw.Error:
        abandon(connection)
        raise
    with contextlib.suppress(apsw.Error):  # a log that cannot be deleted is empty
        connection.close()


def abandon(connection: apsw.Connection) -> None:
    """Close, and leave the log where it is: the file says that it belongs to it."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    with contextlib.suppress(apsw.Error):
        connection.close()


def used_bytes(connection: apsw.Connection) -> int:
    """Of the database, what is in use."""
    return int(row(connection, _USED)[0])


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[apsw.Connection]:
    """One snapshot of the store, for as long as the block lasts. Raises `StoreUnusable`; where a text that is read is
    no UTF-8 any more, `StoreDamaged`."""
    connection = open_reader(folder)
    try:
        connection.execute("BEGIN")
        yield connection
    except (apsw.Error, UnicodeDecodeError) as error:
        raise unusable(folder, error) from None
    finally:
        connection.close()


def unusable(folder: Path, error: Exception) -> StoreUnusable:
    """What SQLite says of a file, for a person; what our own reading says of its values, too."""
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | ValueError | LookupError):
        return StoreDamaged(
            f"the store in {folder} is damaged: {type(error).__name__}",
            fix="stop the agent, then `bansui buffer repair`: it keeps what can be read",
        )
    if isinstance(error, apsw.FullError):
        return StoreUnusable(f"there is no room left on the disk of {folder}", fix="free some (`df`); nothing is lost")
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
    if connection.pragma("journal_mode", "WAL") != "wal":  # where the disk fails it, SQLite stays with the other mode
        raise apsw.IOError("the disk takes no write-ahead log")
    for name, value in (
        ("synchronous", "FULL"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("secure_delete", "ON"),
        ("foreign_keys", "ON"),
    ):
        connection.pragma(name, value)
