"""The journal: one row for each transaction, until a checkpoint brings what the rows say into tables of their own.

A transaction that takes readings in is so one insert, whatever it holds: the disk is synced for as little as can be,
and the thread that writes seldom asks for the interpreter.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.counts import CountKey
from edge_agent.receipts import Receipts
from edge_agent.store import records
from edge_agent.store.engine import row
from edge_agent.store.schema import sum_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import apsw

    from edge_agent.counts import Counts
    from edge_agent.store.records import SeriesName
    from edge_agent.transactions import Columns, Run, Transaction

MOST_REMEMBERED: Final = 10_000
"""Runs' columns of which the writer remembers the numbers."""

_SINCE: Final = "position > (SELECT coalesce(max(position), 0) FROM checkpoint)"
_ROW: Final = "INSERT INTO journal (runs, counts, receipts, exchanges, sum) VALUES (?, ?, ?, ?, ?)"
_RECEIPT: Final = "INSERT INTO receipt (session, packets, marks) VALUES (?, ?, ?)"
_QUARANTINE: Final = """
INSERT INTO quarantine VALUES (?, ?, ?, 1)
ON CONFLICT DO UPDATE SET frames = frames + 1
"""


class JournalWriter:
    """Writes the journal; knows the number of every series and counter, and what came since the last checkpoint."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._series = {name: number for number, name in read_series(connection).items()}
        self._of_run: dict[tuple[str, Columns], records.RunNumbers] = {}
        self._counters = {key: number for number, key in _read_counters(connection).items()}
        self._days: set[int] = set()
        self._fresh_counts: dict[int, int] = {}
        self._receipts = read_receipts(connection)
        self._receipt_rows: dict[str, list[int]] = {}
        for session, position in connection.execute("SELECT session, position FROM receipt"):
            self._receipt_rows.setdefault(session, []).append(position)
        self._fresh_exchanges: dict[tuple[str, int], bool] = {}
        for each in rows_since(connection):
            self._note(records.unpack_counts(each.counts))
            for session, steps in records.unpack_exchanges(each.exchanges):
                self._note_steps(session, steps)

    def write(self, transaction: Transaction, more_counts: Counts) -> None:
        """Readings, receipts, refusals and counts of one transaction; with them, what the store counted itself."""
        if transaction.runs or transaction.counts or more_counts or transaction.receipts or transaction.exchanges:
            every = chain(transaction.counts.items(), more_counts.items())
            counts = [(self._counter(key), number) for key, number in every]
            runs = records.pack_runs(transaction.runs, self._numbers_of)
            receipts = records.pack_receipts(transaction.receipts) if transaction.receipts else b""
            exchanges = records.pack_exchanges(transaction.exchanges) if transaction.exchanges else b""
            packed = runs, records.pack_counts(counts), receipts, exchanges
            self._connection.execute(_ROW, (*packed, sum_of(*packed)))
            self._note(counts)
            for session, marks in transaction.receipts.items():
                self._receipts.remember(session, marks)
            for session, steps in transaction.exchanges.items():
                self._note_steps(session, steps)
        if transaction.quarantine:
            entries = [(entry.driver, entry.reason, entry.length) for entry in transaction.quarantine]
            self._connection.executemany(_QUARANTINE, entries)
        days = [day for day in transaction.timetable_days.items() if day[0] not in self._days]
        if days:
            self._connection.executemany("INSERT OR IGNORE INTO timetable_day VALUES (?, ?)", days)
            self._days.update(day for day, _ in days)

    def checkpoint(self, state: bytes, *, trims: bool) -> None:
        """Keep the open windows; bring counts, receipts and exchanges into their tables, and trim the journal.

        With `trims`, receipts that no device will ask for go too.
        """
        execute, many = self._connection.execute, self._connection.executemany
        position = row(self._connection, "SELECT coalesce(max(position), 0) FROM journal")[0]
        execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)", (position, state, sum_of(state)))
        many("UPDATE counter SET value = value + ?2 WHERE id = ?1", list(self._fresh_counts.items()))
        self._write_receipts(trims=trims)
        steps = self._fresh_exchanges.items()
        many("INSERT OR IGNORE INTO exchange VALUES (?, ?)", [name for name, is_open in steps if is_open])
        many(
            "DELETE FROM exchange WHERE session = ? AND packet_id = ?", [name for name, is_open in steps if not is_open]
        )
        # the last row stays, so that positions go on rising
        execute("DELETE FROM journal WHERE position < ?", (position,))
        self._fresh_counts.clear()
        self._fresh_exchanges.clear()

    def _write_receipts(self, *, trims: bool) -> None:
        """One row for each session: those that have changed are written anew, at the end."""
        changed, rows = self._receipts.checkpoint(trims=trims), self._receipt_rows
        stale = [session for session in rows if session in changed or session not in self._receipts]
        positions = [(position,) for session in stale for position in rows.pop(session)]
        self._connection.executemany("DELETE FROM receipt WHERE position = ?", positions)
        for session, marks in changed.items():
            self._connection.execute(_RECEIPT, (session, len(marks), marks.tobytes()))
            rows[session] = [self._connection.last_insert_rowid()]

    def _note_steps(self, session: str, steps: Iterable[int]) -> None:
        for step in steps:
            self._fresh_exchanges[session, abs(step)] = step > 0

    def _note(self, counts: Iterable[tuple[int, int]]) -> None:
        for number, rise in counts:
            self._fresh_counts[number] = self._fresh_counts.get(number, 0) + rise

    def _counter(self, key: CountKey) -> int:
        number = self._counters.get(key)
        if number is None:
            sql = "INSERT INTO counter (stage, device, reason, value) VALUES (?, ?, ?, 0)"
            self._connection.execute(sql, tuple(key))
            number = self._counters[key] = self._connection.last_insert_rowid()
        return number

    def _numbers_of(self, device: str, columns: Columns) -> records.RunNumbers:
        """The numbers of a run's series, remembered together."""
        numbers = self._of_run.get((device, columns))
        if numbers is None:
            named = [(device, channel, quantity) for channel, quantity in columns]
            numbers = records.RunNumbers(self._series.get(name) or self._add_series(name) for name in named)
            if len(self._of_run) >= MOST_REMEMBERED:
                self._of_run.clear()
            self._of_run[device, columns] = numbers
        return numbers

    def _add_series(self, name: SeriesName) -> int:
        self._connection.execute("INSERT INTO series (device, channel, quantity) VALUES (?, ?, ?)", name)
        number = self._series[name] = self._connection.last_insert_rowid()
        return number


def read_windows(connection: apsw.Connection) -> tuple[bytes, list[Run]]:
    """The open windows as last kept, and every reading admitted since, in order."""
    kept = connection.execute("SELECT state, sum FROM checkpoint").fetchone()
    if kept is not None and sum_of(kept[0]) != kept[1]:
        raise ValueError("a checkpoint that is not what was written")
    series = read_series(connection)
    runs = [run for each in rows_since(connection) for run in records.unpack_runs(each.runs, series)]
    return (kept[0] if kept is not None else b""), runs


def read_counts(connection: apsw.Connection) -> dict[CountKey, int]:
    """Every counter; what the centre acknowledged is counted from the batches themselves."""
    keys = _read_counters(connection)
    values = dict(connection.execute("SELECT id, value FROM counter"))
    for each in rows_since(connection):
        for number, rise in records.unpack_counts(each.counts):
            values[number] += rise
    counts = {keys[number]: value for number, value in values.items()}
    sql = "SELECT coalesce(sum(summaries), 0) FROM batch WHERE state = 'acknowledged'"
    counts[CountKey("acknowledged")] = row(connection, sql)[0]
    return counts


def read_receipts(connection: apsw.Connection) -> Receipts:
    """Those that the last checkpoint kept, and those since."""
    receipts = Receipts()
    for session, packed in connection.execute("SELECT session, marks FROM receipt ORDER BY position"):
        receipts.restore(session, packed)
    for each in rows_since(connection):
        for session, marks in records.unpack_receipts(each.receipts):
            receipts.remember(session, marks)
    return receipts


def read_exchanges(connection: apsw.Connection) -> Mapping[str, Collection[int]]:
    """By session, the packet ids of QoS 2 that are taken over and not given free."""
    opened: dict[str, set[int]] = {}
    for session, packet_id in connection.execute("SELECT session, packet_id FROM exchange"):
        opened.setdefault(session, set()).add(packet_id)
    for each in rows_since(connection):
        for session, steps in records.unpack_exchanges(each.exchanges):
            known = opened.setdefault(session, set())
            for step in steps:
                known.add(step) if step > 0 else known.discard(-step)
    return {session: ids for session, ids in opened.items() if ids}


def read_series(connection: apsw.Connection) -> dict[int, SeriesName]:
    """Device, channel and quantity by number."""
    rows = connection.execute("SELECT id, device, channel, quantity FROM series")
    return {number: (device, channel, quantity) for number, device, channel, quantity in rows}


def _read_counters(connection: apsw.Connection) -> dict[int, CountKey]:
    rows = connection.execute("SELECT id, stage, device, reason FROM counter")
    return {number: CountKey(stage, device, reason) for number, stage, device, reason in rows}


class JournalRow(NamedTuple):
    """One row: what one transaction wrote."""

    runs: bytes
    counts: bytes
    receipts: bytes
    exchanges: bytes


def count_since(connection: apsw.Connection) -> int:
    """How many rows stand behind the checkpoint."""
    return int(row(connection, f"SELECT count(*) FROM journal WHERE {_SINCE}")[0])  # noqa: S608 - our own words


def rows_since(connection: apsw.Connection) -> Iterator[JournalRow]:
    """The journal's rows behind the checkpoint, in order. Raises ValueError for one that is not what was written."""
    query = f"SELECT runs, counts, receipts, exchanges, sum FROM journal WHERE {_SINCE} ORDER BY position"  # noqa: S608 - our own words
    for *parts, checked in connection.execute(query):
        if sum_of(*parts) != checked:
            raise ValueError("a row of the journal that is not what was written")
        yield JournalRow(*parts)
