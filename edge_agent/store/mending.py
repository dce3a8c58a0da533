"""Opens a store; one that is damaged is moved aside, and what can be read of it goes into a new one.

The new one grows in a folder of its own and takes the old one's place when it is whole: an agent that ends meanwhile
begins the mending again, from the file that was moved aside.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import apsw

from edge_agent.store import engine, spending
from edge_agent.store.recovery import check_readable
from edge_agent.store.salvage import salvage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)
_FOLDER: Final = "mending"
_ASIDE: Final = re.compile(re.escape(engine.FILE_NAME) + r"\.corrupt-(\d+)")
MOST_ASIDE: Final = 3
"""Damaged files that are kept, the newest: a disk that fails again and again would fill with them."""
_UNREADABLE: Final = frozenset({apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS})
"""What SQLite says where a disk does not give back what is on it: a start would find the same again."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a damaged store."""

    aside: str
    """The name of the damaged file, beside the new one."""
    readings: int
    """Lost, as far as the counters tell."""
    summaries: int


def open_or_mend(folder: Path, new_epoch: Callable[[], str], vfs: str | None) -> apsw.Connection:
    """The writer's connection, to a store in which everything can be read. Raises `apsw.Error`, `StoreUnusable`."""
    if (folder / _FOLDER).exists() and not (folder / engine.FILE_NAME).exists():
        _say(mend(folder, new_epoch(), vfs))
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)
    try:
        return _open_whole(folder, vfs)
    except (apsw.CorruptError, apsw.NotADBError, apsw.IOError, ValueError, LookupError) as error:
        if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) not in _UNREADABLE:
            raise
        _log.error("the store is damaged (%s)", type(error).__name__)
        _say(mend(folder, new_epoch(), vfs))
        return _open_whole(folder, vfs)


def mend(folder: Path, epoch: str, vfs: str | None = None) -> Repaired:
    """Move the store aside, whatever state it is in, and put a new one in its place with all that can be kept of it.

    Raises `apsw.FullError`, `apsw.IOError`, after which it is to be called again.
    """
    place = folder / _FOLDER
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    engine.sync_folder(folder)
    aside = _move_aside(folder)
    connection = engine.open_writer(place, vfs=vfs)
    try:
        lost = _keep(folder / aside, connection, epoch)
    except BaseException:
        engine.abandon(connection)
        raise
    engine.finish(connection)
    (place / engine.FILE_NAME).rename(folder / engine.FILE_NAME)
    engine.sync_folder(folder)
    shutil.rmtree(place)
    return Repaired(aside, *lost)


def _say(mended: Repaired) -> None:
    _log.error("the damaged store is moved aside as %s, a new one begun", mended.aside)
    _log.error("of the damaged store %d readings and %d summaries are lost", mended.readings, mended.summaries)


def _open_whole(folder: Path, vfs: str | None) -> apsw.Connection:
    """Open the file and see that everything in it can be read: SQLite does not look into its blobs."""
    connection = engine.open_writer(folder, vfs=vfs)
    try:
        check_readable(connection)
    except BaseException:
        engine.abandon(connection)
        raise
    return connection


def _move_aside(folder: Path) -> str:
    """Keep the damaged file and its log, under one name; returns that. One that a mending began with is that."""
    asides = sorted(int(found[1]) for each in folder.iterdir() if (found := _ASIDE.fullmatch(each.name)))
    if (folder / engine.FILE_NAME).exists():
        asides.append(max([time.time_ns(), *(number + 1 for number in asides)]))  # a clock may have been set back
    for name in (engine.FILE_NAME, engine.LOG_NAME):
        if (folder / name).exists():
            (folder / name).rename(folder / _aside(asides[-1], name))
    (folder / f"{engine.FILE_NAME}-shm").unlink(missing_ok=True)
    for number in asides[:-MOST_ASIDE]:
        for name in (engine.FILE_NAME, engine.LOG_NAME):
            with contextlib.suppress(OSError):  # one that the disk does not let go of stays
                (folder / _aside(number, name)).unlink()
    engine.sync_folder(folder)
    return _aside(asides[-1], engine.FILE_NAME)


def _aside(number: int, name: str) -> str:
    return name.replace(engine.FILE_NAME, f"{engine.FILE_NAME}.corrupt-{number}")


def _keep(damaged: Path, connection: apsw.Connection, epoch: str) -> tuple[int, int]:
    """Copy what can be kept; the readings and summaries that are lost."""
    with engine.transaction(connection):
        connection.execute("INSERT INTO meta VALUES ('past_unknown', '1')")
        spending.begin_again(connection)
    try:
        with engine.transaction(connection):
            return salvage(damaged, connection, epoch)
    except (apsw.FullError, apsw.IOError):
        raise  # of the new file: what cannot be read of the damaged one is passed over
    except (apsw.Error, ValueError, LookupError) as error:
        _log.error("nothing of %s can be kept: %s", damaged.name, type(error).__name__)
        return 0, 0
