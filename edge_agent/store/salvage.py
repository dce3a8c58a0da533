"""Keeps what can be read of a damaged store: everything in it that is what was written goes into a new one.

Batches that were sealed keep their identity and bytes. Their epoch is ending: one report closes it, and by its answer
the centre tells what it knows more of it, which is then not told twice. What is gone is counted, `gap` in readings and
`damaged` in summaries.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from typing import TYPE_CHECKING, Any, Final

import apsw

from edge_agent.state import open_readings_of
from edge_agent.store import journal, outbox, records, summaries
from edge_agent.store.engine import row
from edge_agent.store.schema import sum_of
from telemetry.uplink_contract import unseal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_S: Final = 6.0
"""After which what was not read yet counts as lost: an agent that does not start loses more."""
_FURTHEST_SKIP: Final = 40
_LAST_BATCHES: Final = 8
_JOURNAL: Final = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)"
_KEPT_META: Final = ("closed_until_ms", "turn", "told_until_ms", "told_elsewhere_ms", "written_bytes", "ran_s")


class _Source:
    """A damaged database, read row by row around what cannot be read."""

    def __init__(self, connection: apsw.Connection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Every row that can be read, by its rowid."""
        query = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - our own words
        position: int | None = -(1 << 62)
        while position is not None:
            try:
                for number, *found in self._connection.execute(query, (position,)):
                    position = number
                    yield tuple(found)
                    if time.monotonic() > self._deadline:
                        return
            except apsw.SQLError:
                return  # a table of an earlier schema, or none
            except apsw.Error:
                position = self._behind(table, position)
            else:
                return

    def few(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """The rows of a small table, as far as they can be read."""
        found: list[tuple[Any, ...]] = []
        with contextlib.suppress(apsw.Error):
            for each in self._connection.execute(f"SELECT {columns} FROM {table}"):  # noqa: S608 - our own words
                found.append(each)  # noqa: PERF402 - what came before an error stays
        return found

    def _behind(self, table: str, position: int) -> int | None:
        """A position from which something further on can be read; None where there is nothing."""
        query = f"SELECT rowid FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT 1"  # noqa: S608 - our own words
        for doubling in range(_FURTHEST_SKIP):
            start = max(position, 0) + (1 << doubling)
            with contextlib.suppress(apsw.Error):
                found = self._connection.execute(query, (start,)).fetchone()
                return start if found is not None else None
        return None


def salvage(damaged: Path, target: apsw.Connection, epoch: str) -> tuple[int, int]:
    """Copy what can be kept of the file into a new database, in the transaction that is open there.

    `epoch` is the new database's name where the old one's cannot be read. Returns the readings and summaries lost.
    """
    connection = apsw.Connection(str(damaged))
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # the file stays as it was found
        source = _Source(connection, time.monotonic() + LONGEST_S)
        _copy_meta(source, target, epoch)
        _copy_names(source, target)
        _copy_windows(source, target)
        _copy_outbox(source, target)
        _drop_sealed(target)
        _name_after_batches(target)
    finally:
        connection.close()
    return _close_balance(target)


def _copy_meta(source: _Source, target: apsw.Connection, epoch: str) -> None:
    meta = {name: value for name, value in source.few("meta", "name, value") if isinstance(value, str)}
    kept = {name: meta[name] for name in _KEPT_META if meta.get(name, "").isdigit()}
    kept |= {"epoch": epoch, "damaged_epochs": meta.get("damaged_epochs", "")}
    if re.fullmatch("[0-9a-f]{16}", meta.get("epoch", "")):
        damaged = [*kept["damaged_epochs"].split(), meta["epoch"]]
        kept |= {"epoch": meta["epoch"], "ending": "0", "damaged_epochs": " ".join(damaged)}
    target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", kept.items())


def _copy_names(source: _Source, target: apsw.Connection) -> None:
    """Tables that others refer to by number, and those that stand for themselves."""
    for table, columns, width in (
        ("series", "id, device, channel, quantity", 4),
        ("counter", "id, stage, device, reason, value", 5),
        ("receipt", "position, session, packets, marks", 4),
        ("timetable_day", "day, hours", 2),
        ("line_series", "id, text", 2),
        ("merged", "id", 1),
    ):
        values = ", ".join("?" * width)
        for found in source.rows(table, columns):
            with contextlib.suppress(apsw.ConstraintError):
                target.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", found)  # noqa: S608 - our own words
    for table, width in (("exchange", 2), ("quarantine", 4)):
        values = ", ".join("?" * width)
        for found in source.few(table, "*"):
            with contextlib.suppress(apsw.ConstraintError):
                target.execute(f"INSERT INTO {table} VALUES ({values})", found)  # noqa: S608 - our own words


def _copy_windows(source: _Source, target: apsw.Connection) -> None:
    """The checkpoint if it is whole, and every row of the journal behind it that is."""
    position = 0
    for number, state, checked in source.few("checkpoint", "position, state, sum"):
        if isinstance(number, int) and sum_of(state) == checked:
            position = number
            target.execute("INSERT INTO checkpoint VALUES (1, ?, ?, ?)", (number, state, checked))
            nothing = number, b"", b"", b"", b"", sum_of(b"")
            target.execute(_JOURNAL, nothing)  # the position stays taken, so that positions go on rising
    series = journal.read_series(target)
    counters = {number for (number,) in target.execute("SELECT id FROM counter")}
    for number, *parts, checked in source.rows("journal", "position, runs, counts, receipts, exchanges, sum"):
        if not isinstance(number, int) or number <= position or sum_of(*parts) != checked:
            continue
        with contextlib.suppress(ValueError, LookupError):
            list(records.unpack_runs(parts[0], series))
            if all(counter in counters for counter, _ in records.unpack_counts(parts[1])):
                target.execute(_JOURNAL, (number, *parts, checked))


def _copy_outbox(source: _Source, target: apsw.Connection) -> None:
    for found in source.rows("summary", "id, fields, most, sum"):
        with contextlib.suppress(apsw.ConstraintError):
            target.execute("INSERT INTO summary VALUES (?, ?, ?, ?)", found)
    summaries.drop(target, [each.number for each in summaries.read_all(target) if not each.line])
    columns = "id, epoch, sequence, kind, state, body_sha256, head, summaries, sealed_ms, oldest_ms"
    bodies = dict(source.rows("batch", "id, body"))
    for found in source.rows("batch", columns):
        state, digest, body = found[4], found[5], bodies.get(found[0])
        if not isinstance(body, bytes) or hashlib.sha256(body).digest() != digest:
            body = None
        if state == "sealed" and body is None:
            continue
        with contextlib.suppress(apsw.ConstraintError):
            target.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*found, body))


def _drop_sealed(target: apsw.Connection) -> None:
    """A file may be older in one place than in another: what the last batches hold waits no more."""
    last = "SELECT body FROM batch WHERE kind = 'summaries' AND body IS NOT NULL ORDER BY id DESC LIMIT ?"
    for (body,) in list(target.execute(last, (_LAST_BATCHES,))):
        summaries.drop_same(target, summaries.from_lines(unseal(body)))


def _name_after_batches(target: apsw.Connection) -> None:
    """Where only the batches still say what the epoch was."""
    if row(target, "SELECT count(*) FROM meta WHERE name = 'ending'")[0]:
        return
    for (epoch,) in list(target.execute("SELECT epoch FROM batch ORDER BY id DESC LIMIT 1")):
        named = (("epoch", epoch), ("ending", "0"), ("damaged_epochs", epoch))
        target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", named)


def _close_balance(target: apsw.Connection) -> tuple[int, int]:
    """Count what is gone, so that every reading and every summary is accounted for again."""
    sums: dict[str, int] = {}
    for key, value in journal.read_counts(target).items():
        sums[key.stage] = sums.get(key.stage, 0) + value
    checkpoint, runs = journal.read_windows(target)
    closed_until_ms = int(row(target, "SELECT coalesce(max(value), '0') FROM meta WHERE name = 'closed_until_ms'")[0])
    sums["open"] = open_readings_of(checkpoint, runs, closed_until_ms)
    sums["waiting"] = summaries.count(target)[0] + outbox.count_sealed(target)
    parts = ("summarised", "open", "late", "gap", "withheld")
    lost = _balance(target, sums, "admitted", parts, "gap")
    _balance(target, sums, "received", ("admitted", "rejected", "duplicate"), "received")
    told = ("acknowledged", "waiting", "merged", "fork", "refused", "damaged")
    return lost, _balance(target, sums, "summaries", told, "damaged")


def _balance(target: apsw.Connection, sums: dict[str, int], left: str, right: tuple[str, ...], slack: str) -> int:
    """Let an equation close: what is missing on the right is counted as `slack`, what is too much raises the left."""
    missing = sums.get(left, 0) - sum(sums.get(name, 0) for name in right)
    if missing > 0 and slack != left:
        _raise(target, sums, slack, missing)
        return missing
    if missing:
        _raise(target, sums, left, -missing)
    return 0


def _raise(target: apsw.Connection, sums: dict[str, int], stage: str, number: int) -> None:
    target.execute(
        """INSERT INTO counter (stage, device, reason, value) VALUES (?, '', 'damaged', ?)
           ON CONFLICT (stage, device, reason) DO UPDATE SET value = value + excluded.value""",
        (stage, number),
    )
    sums[stage] = sums.get(stage, 0) + number
