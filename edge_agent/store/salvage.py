"""Keeps what can be read of a damaged store: everything in it that is what was written goes into a new one.

Batches that were sealed keep their identity and bytes. Their epoch is ending: one report closes it, and by its answer
the centre tells what it knows more of it, which is then not told twice. What is gone is counted, `gap` in readings and
`damaged` in summaries.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import apsw

from edge_agent.store import journal, outbox, records, schema, spending, summaries
from edge_agent.store.balance import EQUATIONS, balance_of
from edge_agent.store.recovery import read_recovered
from edge_agent.store.schema import sum_of
from edge_agent.transactions import BatchKind
from telemetry.uplink_contract import GENESIS, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_S: Final = 6.0
"""After which what was not read yet counts as lost: an agent that does not start loses more."""
_LONGEST_STEP_S: Final = 1.0
"""What one row counts for at most: a machine that stood still meanwhile has lost nothing."""
_LAST: Final = (1 << 63) - 1
"""The highest rowid there can be."""
_FEW: Final = 200_000
"""More rows than a small table ever has: its pages go round."""
_LAST_BATCHES: Final = 8
_JOURNAL: Final = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)"
_SLACK: Final = {"admitted": "gap", "summaries": "damaged"}
"""As what is counted that is missing of a stage."""
_KEPT_META: Final = ("closed_until_ms", "turn", "told_until_ms", "told_elsewhere_ms", "written_bytes", "ran_s")


class _BatchRow(NamedTuple):
    """A row of the ledger as it was found, without its bytes."""

    id: Any
    epoch: Any
    sequence: Any
    kind: Any
    state: Any
    body_sha256: Any
    head: Any
    summaries: Any
    sealed_ms: Any
    oldest_ms: Any


class _Patience:
    """How much longer the reading may take; asked at every step."""

    def __init__(self) -> None:
        self._left_s = LONGEST_S
        self._asked = time.monotonic()

    def is_over(self) -> bool:
        """Whether all of it is used up, by the steps so far."""
        before, self._asked = self._asked, time.monotonic()
        self._left_s -= min(self._asked - before, _LONGEST_STEP_S)
        return self._left_s < 0


class _Source:
    """A damaged database, read row by row around what cannot be read."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.patience = _Patience()
        """Used up by all that is read."""

    def rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Every row that can be read, by its rowid; damaged pages may lead back to rows that were there before."""
        query = f"SELECT rowid, {columns} FROM {table} WHERE rowid >= ? ORDER BY rowid"  # noqa: S608 - our own words
        start: int | None = -(1 << 62)
        while start is not None and start <= _LAST and not self.patience.is_over():
            try:
                for each in _legible(self._connection.execute(query, (start,))):
                    if self.patience.is_over():
                        return
                    if each is None:
                        continue
                    number, *found = each
                    if number < start:
                        raise apsw.CorruptError("the pages go round")
                    start = number + 1
                    yield tuple(found)
            except apsw.SQLError:
                return  # a table of an earlier schema, or none
            except apsw.Error:
                start = self._behind(table, start)
            else:
                return

    def few(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """The rows of a small table, as far as they can be read."""
        found: list[tuple[Any, ...]] = []
        with contextlib.suppress(apsw.Error):
            for each in _legible(self._connection.execute(f"SELECT {columns} FROM {table} LIMIT {_FEW}")):  # noqa: S608 - our own words
                if each is not None:
                    found.append(each)  # noqa: PERF401 - what came before an error stays
        return found

    def body(self, batch: int, digest: bytes) -> bytes | None:
        """The bytes of a batch, if they can be read and are what was sealed."""
        with contextlib.suppress(apsw.Error, UnicodeDecodeError):
            found = self._connection.execute("SELECT body FROM batch WHERE id = ?", (batch,)).get
            if isinstance(found, bytes) and hashlib.sha256(found).digest() == digest:
                return found
        return None

    def _behind(self, table: str, start: int) -> int | None:
        """The rowid from which to go on where the first row from `start` cannot be read; None where there is nothing.

        That row is passed over, where it can be found at least. Otherwise its page is lost: the next one begins between
        the last rowid from which nothing can be found and the first from which something can.
        """
        with contextlib.suppress(apsw.Error):
            found = self._first(table, start)
            return None if found is None else found + 1
        low, high, step = start, max(start, 0), 1
        while not self._leads_on(table, high):
            if high == _LAST:
                return None
            low, high, step = high, min(high + step, _LAST), 2 * step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._leads_on(table, middle) else (middle, high)
        return self._first(table, high)

    def _leads_on(self, table: str, start: int) -> bool:
        try:
            self._first(table, start)
        except apsw.Error:
            return False
        return True

    def _first(self, table: str, start: int) -> int | None:
        """The first rowid from one on; None where there is none."""
        query = f"SELECT rowid FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1"  # noqa: S608 - our own words
        found = self._connection.execute(query, (start,)).fetchone()
        if found is not None and found[0] < start:
            raise apsw.CorruptError("the pages go round")
        return None if found is None else int(found[0])


def _legible(cursor: apsw.Cursor) -> Iterator[tuple[Any, ...] | None]:
    """A query's rows; None for one in which a text is no UTF-8 any more."""
    while True:
        try:
            found = next(cursor, None)
        except UnicodeDecodeError:
            yield None
        else:
            if found is None:
                return
            yield found


def salvage(damaged: Path, target: apsw.Connection, epoch: str) -> tuple[int, int]:
    """Copy what can be kept of the file into a new database, in the transaction that is open there.

    `epoch` is the new database's name where the old one's cannot be read. Returns the readings and summaries lost.
    """
    connection = _open(damaged)
    try:
        connection.execute("PRAGMA query_only = ON")
        source = _Source(connection)
        _copy_meta(source, target, epoch)
        _copy_names(source, target)
        _copy_windows(source, target)
        _copy_outbox(source, target)
        _copy_spending(source, target)
        _copy_ledger(source, target)
        _drop_sealed(target)
        _name_epochs(target)
    finally:
        connection.close()
        damaged.with_name(f"{damaged.name}-shm").unlink(missing_ok=True)
    return _close_balance(target)


def _open(damaged: Path) -> apsw.Connection:
    """The file as it was found; without its log where the disk cannot read that."""
    connection = apsw.Connection(str(damaged))
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except (apsw.IOError, apsw.CantOpenError):
        connection.close()
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
        return apsw.Connection(f"file:{quote(str(damaged))}?immutable=1", flags=flags)
    except apsw.Error:
        pass  # read around it
    return connection


def _copy_meta(source: _Source, target: apsw.Connection, epoch: str) -> None:
    meta = {name: value for name, value in source.few("meta", "name, value") if isinstance(value, str)}
    kept = {name: meta[name] for name in _KEPT_META if meta.get(name, "").isdigit()}
    kept |= {"epoch": epoch, "damaged_epochs": meta.get("damaged_epochs", "")}
    if _is_epoch(meta.get("epoch")):
        kept |= {"epoch": meta["epoch"], "ending": "0"}
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
    target.execute("DELETE FROM receipt WHERE length(marks) != 8 * packets")
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
            flat = schema.in_one_list(state)
            target.execute("INSERT INTO checkpoint VALUES (1, ?, ?, ?)", (number, flat, sum_of(flat)))
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
    for found in source.rows("batch", ", ".join(_BatchRow._fields)):
        batch, body = _BatchRow(*found), None
        if not _is_batch(batch):
            continue
        if batch.state == "sealed":
            if (body := source.body(batch.id, batch.body_sha256)) is None:
                continue
            if batch.summaries:
                batch = batch._replace(summaries=unseal(body).count(b"\n"))
        with contextlib.suppress(apsw.ConstraintError):
            target.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*batch, body))


def _copy_ledger(source: _Source, target: apsw.Connection) -> None:
    """The bytes of what the centre has spoken of, the newest first: of what there is no time or no room for, the hashes
    stay.

    One by one: what left in half a year may be more than the memory. The damaged file lies beside the new one, which
    its log doubles until it is whole.
    """
    room = shutil.disk_usage(Path(target.filename).parent).free // 3
    query = "SELECT id, body_sha256 FROM batch WHERE body IS NULL ORDER BY id DESC"
    for number, digest in list(target.execute(query)):
        body = source.body(number, digest)
        room -= len(body or b"")
        if source.patience.is_over() or room < 0:
            return
        if body is not None:
            target.execute("UPDATE batch SET body = ? WHERE id = ?", (body, number))


def _copy_spending(source: _Source, target: apsw.Connection) -> None:
    """The privacy ledger as far as it can be read. What is told of people begins again a day later: more may have been
    spent than can be read here."""
    width = len(spending.COLUMNS)
    for found in source.rows("spend", ", ".join(spending.COLUMNS)):
        with contextlib.suppress(apsw.ConstraintError):
            target.execute(f"INSERT INTO spend VALUES ({', '.join('?' * width)})", found)  # noqa: S608 - our own words
    spending.copy_clock(target, source.few("privacy_clock", spending.CLOCK_COLUMNS))
    spending.begin_again(target)


def _is_batch(batch: _BatchRow) -> bool:
    """Whether each value can be what was written."""
    return (
        _is_epoch(batch.epoch)
        and isinstance(batch.sequence, int)
        and batch.sequence > 0
        and batch.kind in set(BatchKind)
        and batch.state in outbox.STATES
        and all(isinstance(digest, bytes) and len(digest) == len(GENESIS) for digest in (batch.body_sha256, batch.head))
        and all(isinstance(number, int) and number >= 0 for number in (batch.summaries, batch.sealed_ms))
        and isinstance(batch.oldest_ms, int | None)
    )


def _is_epoch(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch("[0-9a-f]{16}", name) is not None


def _drop_sealed(target: apsw.Connection) -> None:
    """A file may be older in one place than in another: what the last batches hold waits no more."""
    last = "SELECT body FROM batch WHERE kind = 'summaries' AND body IS NOT NULL ORDER BY id DESC LIMIT ?"
    for (body,) in list(target.execute(last, (_LAST_BATCHES,))):
        summaries.drop_same(target, summaries.from_lines(unseal(body)))


def _name_epochs(target: apsw.Connection) -> None:
    """Say of which epochs batches may be missing; and what the epoch was, where only the batches still do."""
    meta = dict(target.execute("SELECT name, value FROM meta"))
    batches = [epoch for (epoch,) in target.execute("SELECT epoch FROM batch GROUP BY epoch ORDER BY max(id)")]
    if "ending" not in meta and batches:
        meta |= {"epoch": batches[-1], "ending": "0"}
    ending = [meta["epoch"]] if "ending" in meta else []
    meta["damaged_epochs"] = " ".join(sorted({*meta["damaged_epochs"].split(), *batches, *ending}))
    target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())


def _close_balance(target: apsw.Connection) -> tuple[int, int]:
    """Count what is gone, so that every reading and every summary is accounted for again."""
    balance = balance_of(read_recovered(target))
    lost = dict.fromkeys(_SLACK.values(), 0)
    for left, right in reversed(EQUATIONS):  # what is admitted before what is received, of which it is a part
        missing = balance[left] - sum(balance[stage] for stage in right)
        slack = _SLACK.get(left)
        if missing > 0 and slack is not None:
            _raise(target, slack, missing)
            lost[slack] = missing
        elif missing:  # a count that is behind what it counts
            _raise(target, left, -missing)
            balance[left] -= missing
    return lost["gap"], lost["damaged"]


def _raise(target: apsw.Connection, stage: str, number: int) -> None:
    target.execute(
        """INSERT INTO counter (stage, device, reason, value) VALUES (?, '', 'damaged', ?)
           ON CONFLICT (stage, device, reason) DO UPDATE SET value = value + excluded.value""",
        (stage, number),
    )
