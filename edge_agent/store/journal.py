"""The journal's rows: readings as they were admitted, what tells of second copies, and the counters."""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from edge_agent.counts import CountKey
from edge_agent.state import MOST_RECEIPTS
from edge_agent.store.engine import row
from edge_agent.transactions import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import apsw

    from edge_agent.transactions import Transaction

MOST_REMEMBERED: Final = 10_000
"""Runs' columns of which the writer remembers the numbers."""
SeriesName: TypeAlias = tuple[str, str, str]
"""Device, channel, quantity."""

_ADD: Final = """
INSERT INTO counter VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = value + excluded.value
"""
_OLD_RECEIPTS: Final = """
DELETE FROM receipt WHERE position IN (
    SELECT position FROM (
        SELECT position, sum(packets) OVER (PARTITION BY session ORDER BY position DESC) - packets AS newer FROM receipt
    ) WHERE newer >= ?)
"""
_QUARANTINE: Final = """
INSERT INTO quarantine VALUES (?, ?, ?, 1)
ON CONFLICT DO UPDATE SET frames = frames + 1
"""


def write_journal(connection: apsw.Connection, transaction: Transaction, numbers: SeriesNumbers) -> None:
    """Readings, receipts, refusals and counts of one transaction."""
    if transaction.runs:
        connection.execute("INSERT INTO journal (runs) VALUES (?)", (numbers.pack(transaction.runs),))
    connection.executemany(
        "INSERT INTO receipt (session, packets, marks) VALUES (?, ?, ?)",
        [(session, len(marks), _pack_marks(marks)) for session, marks in transaction.receipts.items()],
    )
    connection.executemany(
        _QUARANTINE, [(entry.driver, entry.reason, entry.length) for entry in transaction.quarantine]
    )
    connection.executemany(
        "INSERT OR IGNORE INTO timetable_day VALUES (?, ?)", list(transaction.timetable_days.items())
    )
    counts = [(key.stage, key.device, key.reason, number) for key, number in transaction.counts.items()]
    connection.executemany(_ADD, counts)


def write_checkpoint(connection: apsw.Connection, state: bytes) -> None:
    """Keep the open windows; trim the journal that led to them, and receipts that no device will ask for."""
    position = row(connection, "SELECT coalesce(max(position), 0) FROM journal")[0]
    connection.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?)", (position, state))
    # the last row stays, so that positions go on rising
    connection.execute("DELETE FROM journal WHERE position < ?", (position,))
    connection.execute(_OLD_RECEIPTS, (MOST_RECEIPTS,))


def read_checkpoint(connection: apsw.Connection) -> tuple[bytes, list[Run]]:
    """The open windows as last kept, and every reading admitted since, in order."""
    kept = connection.execute("SELECT position, state FROM checkpoint").fetchone()
    position, state = kept if kept is not None else (0, b"")
    runs: list[Run] = []
    series = read_series(connection)
    for (packed,) in connection.execute("SELECT runs FROM journal WHERE position > ? ORDER BY position", (position,)):
        runs.extend(_unpack(packed, series))
    return state, runs


def read_counts(connection: apsw.Connection) -> dict[CountKey, int]:
    """Every counter; what the centre acknowledged is counted from the batches themselves."""
    counts = {CountKey(*key): value for *key, value in connection.execute("SELECT * FROM counter")}
    sql = "SELECT coalesce(sum(summaries), 0) FROM batch WHERE state = 'acknowledged'"
    counts[CountKey("acknowledged")] = row(connection, sql)[0]
    return counts


def read_receipts(connection: apsw.Connection) -> Mapping[str, Mapping[int, int]]:
    """By session and packet id, the mark of what the message held; of a session, the newest last."""
    receipts: dict[str, dict[int, int]] = {}
    for session, packed in connection.execute("SELECT session, marks FROM receipt ORDER BY position"):
        marks = receipts.setdefault(session, {})
        for packet_id, mark in _unpack_marks(packed):
            marks.pop(packet_id, None)
            marks[packet_id] = mark
    return receipts


class SeriesNumbers:
    """Gives every series a number, so that a journalled value is four integers. Used by the writer alone."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._numbers = {series: number for number, series in read_series(connection).items()}
        self._of_lane: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = {}

    def pack(self, runs: Sequence[Run]) -> bytes:
        """64-bit integers: of each run its width, rows and time; then its series, its ticks, its windows."""
        packed = array("q")
        for device, columns, rows, event_ms, ticks, windows in runs:
            packed.extend((len(columns), rows, event_ms))
            packed.extend(self._of_lane.get((device, columns)) or self._learn(device, columns))
            packed.extend(ticks)
            packed.extend(chain.from_iterable(windows))
        return packed.tobytes()

    def _learn(self, device: str, columns: tuple[tuple[str, str], ...]) -> list[int]:
        """The numbers of all columns, remembered together."""
        named = [(device, channel, quantity) for channel, quantity in columns]
        numbers = [self._numbers.get(series) or self._add(series) for series in named]
        if len(self._of_lane) >= MOST_REMEMBERED:
            self._of_lane.clear()
        self._of_lane[device, columns] = numbers
        return numbers

    def _add(self, series: SeriesName) -> int:
        self._connection.execute("INSERT INTO series (device, channel, quantity) VALUES (?, ?, ?)", series)
        number = self._numbers[series] = self._connection.last_insert_rowid()
        return number


def read_series(connection: apsw.Connection) -> dict[int, SeriesName]:
    """Device, channel and quantity by number."""
    rows = connection.execute("SELECT id, device, channel, quantity FROM series")
    return {number: (device, channel, quantity) for number, device, channel, quantity in rows}


def _unpack(packed: bytes, series: Mapping[int, SeriesName]) -> Iterator[Run]:
    numbers = array("q")
    numbers.frombytes(packed)
    position = 0
    while position < len(numbers):
        width, rows, event_ms = numbers[position : position + 3]
        start, position = position + 3, position + 3 + 4 * width
        if not start < position <= len(numbers):
            raise ValueError("a run that is longer than its record")
        named = [series[number] for number in numbers[start : start + width]]
        ticks, windows = numbers[start + width : start + 2 * width], numbers[start + 2 * width : position]
        columns = tuple((channel, quantity) for _, channel, quantity in named)
        yield Run(named[0][0], columns, rows, event_ms, ticks, list(zip(windows[::2], windows[1::2], strict=True)))


def _pack_marks(marks: Mapping[int, int]) -> bytes:
    """64-bit integers: the packet id above 32 bits of mark."""
    return array("Q", [packet_id << 32 | mark for packet_id, mark in marks.items()]).tobytes()


def _unpack_marks(packed: bytes) -> Iterator[tuple[int, int]]:
    numbers = array("Q")
    numbers.frombytes(packed)
    return ((number >> 32, number & 0xFFFFFFFF) for number in numbers)
