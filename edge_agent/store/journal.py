"""The journal's rows: readings as they were admitted, what tells of second copies, and the counters."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, TypeAlias

from edge_agent.counts import CountKey
from edge_agent.state import MOST_RECEIPTS
from edge_agent.store.engine import row
from telemetry import Reading, TimeSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

    from edge_agent.state import Placed
    from edge_agent.transactions import Transaction

SeriesName: TypeAlias = tuple[str, str, str]
"""Device, channel, quantity."""

_ADD: Final = """
INSERT INTO counter VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = value + excluded.value
"""
_OLD_RECEIPTS: Final = """
DELETE FROM receipt WHERE position IN (
    SELECT position FROM (
        SELECT position, row_number() OVER (PARTITION BY session ORDER BY position DESC) AS age FROM receipt
    ) WHERE age > ?)
"""
_QUARANTINE: Final = """
INSERT INTO quarantine VALUES (?, ?, ?, 1)
ON CONFLICT DO UPDATE SET frames = frames + 1
"""


def write_journal(connection: apsw.Connection, transaction: Transaction, numbers: SeriesNumbers) -> None:
    """Readings, receipts, refusals and counts of one transaction."""
    if transaction.readings:
        connection.execute("INSERT INTO journal (readings) VALUES (?)", (numbers.pack(transaction),))
    connection.executemany(
        "INSERT OR REPLACE INTO receipt (session, packet, digest) VALUES (?, ?, ?)",
        [(receipt.session, receipt.packet_id, receipt.digest) for receipt in transaction.receipts],
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


def read_checkpoint(connection: apsw.Connection) -> tuple[bytes, list[Placed]]:
    """The open windows as last kept, and every reading admitted since, in order."""
    kept = connection.execute("SELECT position, state FROM checkpoint").fetchone()
    position, state = kept if kept is not None else (0, b"")
    readings: list[Placed] = []
    series = read_series(connection)
    for (packed,) in connection.execute(
        "SELECT readings FROM journal WHERE position > ? ORDER BY position", (position,)
    ):
        readings.extend(_unpack(packed, series))
    return state, readings


def read_counts(connection: apsw.Connection) -> dict[CountKey, int]:
    """Every counter; what the centre acknowledged is counted from the batches themselves."""
    counts = {CountKey(*key): value for *key, value in connection.execute("SELECT * FROM counter")}
    sql = "SELECT coalesce(sum(summaries), 0) FROM batch WHERE state = 'acknowledged'"
    counts[CountKey("acknowledged")] = row(connection, sql)[0]
    return counts


def read_receipts(connection: apsw.Connection) -> Mapping[tuple[str, int], bytes]:
    """By session and packet id, what the message held; the newest last."""
    rows = connection.execute("SELECT session, packet, digest FROM receipt ORDER BY position")
    return {(session, packet): digest for session, packet, digest in rows}


class SeriesNumbers:
    """Gives every series a number, so that a journalled reading is five integers. Used by the writer alone."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._numbers = {series: number for number, series in read_series(connection).items()}

    def pack(self, transaction: Transaction) -> bytes:
        """Readings as 64-bit integers: series, ticks, the time doubled, odd where the device stated it, the window."""
        packed = array("q")
        placed = zip(transaction.readings, transaction.windows, strict=True)
        for (device, channel, quantity, ticks, event_ms, source), window in placed:
            series = (device, channel, quantity)
            number = self._numbers.get(series) or self._add(series)
            packed.extend((number, ticks, 2 * event_ms + (source is TimeSource.DEVICE), *window))
        return packed.tobytes()

    def _add(self, series: SeriesName) -> int:
        self._connection.execute("INSERT INTO series (device, channel, quantity) VALUES (?, ?, ?)", series)
        number = self._numbers[series] = self._connection.last_insert_rowid()
        return number


def read_series(connection: apsw.Connection) -> dict[int, SeriesName]:
    """Device, channel and quantity by number."""
    rows = connection.execute("SELECT id, device, channel, quantity FROM series")
    return {number: (device, channel, quantity) for number, device, channel, quantity in rows}


def _unpack(packed: bytes, series: Mapping[int, SeriesName]) -> list[Placed]:
    numbers = array("q")
    numbers.frombytes(packed)
    sources = (TimeSource.ARRIVAL, TimeSource.DEVICE)
    return [
        (Reading(*series[number], ticks, moment >> 1, sources[moment & 1]), (start_ms, length_s))
        for number, ticks, moment, start_ms, length_s in zip(*(numbers[part::5] for part in range(5)), strict=True)
    ]
