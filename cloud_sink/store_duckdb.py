"""The embedded store: DuckDB, append-only columns, its position in the same transaction as its rows."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import duckdb
import pyarrow as pa

from cloud_sink.line_bytes import DECIMALS, LINE_BYTES
from cloud_sink.store import Count, Left, StoreFull
from telemetry import FIELDS, EnvironmentFault, Series, Summary
from telemetry.summaries import LONGEST_WINDOW_S
from telemetry.uplink_contract import AgentReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cloud_sink.retention import Expiry
    from cloud_sink.store import Projected, Selection

T = TypeVar("T")

_TAGS: Final = ("quantity", "school", "building", "room", "device", "window_s", "channel", "revision")
_SUMMARY_SCHEMA: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("agent", pa.string()),
        *((name, pa.int32() if name in ("window_s", "revision") else pa.string()) for name in _TAGS),
        ("start_ms", pa.int64()),
        *((name, pa.int64()) for name in FIELDS),
    ]
)
_REPORT_SCHEMA: Final = pa.schema([("position", pa.int64()), ("agent", pa.string()), ("report", pa.string())])
_SQL_TYPES: Final = {pa.int64(): "BIGINT", pa.int32(): "INTEGER", pa.string(): "VARCHAR"}
# `told` is what readers see: of every window the highest revision, however often it came. Temporary, since a view in
# the file would be written at each start, also where there is no room.
_VIEWS: Final = (
    """CREATE TEMP VIEW told AS SELECT * EXCLUDE (position, agent) FROM summary QUALIFY row_number() OVER (
           PARTITION BY school, building, room, device, quantity, channel, window_s, start_ms
           ORDER BY revision DESC, position DESC) = 1""",
    """CREATE TEMP VIEW once AS SELECT agent, quantity, window_s, start_ms, count(*) AS times FROM summary
       GROUP BY agent, quantity, school, building, room, device, window_s, channel, revision, start_ms""",
)
_LATEST: Final = """
SELECT * EXCLUDE (position, agent) FROM summary WHERE start_ms + window_s * 1000 <= ? QUALIFY row_number() OVER (
    PARTITION BY school, building, room, device, quantity, channel
    ORDER BY start_ms + window_s * 1000 DESC, start_ms DESC, revision DESC, position DESC) = 1
ORDER BY school, building, room, device, quantity, channel
"""
_COUNTS: Final = """
SELECT agent, coalesce(rows, 0), coalesce(windows, 0), coalesce(gone, 0)
FROM (SELECT agent, sum(times)::BIGINT AS rows, count(*) AS windows FROM once GROUP BY agent)
FULL JOIN (SELECT agent, sum(number)::BIGINT AS gone FROM forgotten GROUP BY agent) USING (agent)
"""
_LEFT: Final = f"""
WITH told_then AS (
    SELECT * EXCLUDE (position, agent), {DECIMALS} AS decimals FROM summary
    WHERE school = ? AND start_ms >= ? AND start_ms < ?
), sums AS (
    SELECT quantity, window_s, count(*) AS number, count(DISTINCT device) AS devices,
           sum({LINE_BYTES})::BIGINT AS bytes,
           [{", ".join(f"count({name})" for name in FIELDS)}] AS having_field
    FROM told_then GROUP BY quantity, window_s
), last AS (
    SELECT * EXCLUDE (decimals) FROM told_then QUALIFY row_number() OVER (
        PARTITION BY quantity, window_s ORDER BY start_ms DESC, building, room, device, channel, revision DESC) = 1
)
SELECT number, devices, bytes, having_field, last.* FROM sums JOIN last USING (quantity, window_s)
ORDER BY last.quantity, last.window_s
"""  # noqa: S608 - our own words
_COUNT_EXPIRED: Final = """
INSERT INTO forgotten SELECT agent, count(*) FROM once
WHERE list_contains(?, quantity) AND window_s BETWEEN ? AND ? AND start_ms < ? GROUP BY agent
"""
_DELETE_EXPIRED: Final = """
DELETE FROM summary WHERE list_contains(?, quantity) AND window_s BETWEEN ? AND ? AND start_ms < ?
"""
_NOTE_HOURS: Final = """
INSERT INTO hours SELECT ?, ?, ? WHERE NOT EXISTS (FROM hours WHERE agent = ? AND day = ? AND hours = ?)
"""


class StoreDamaged(EnvironmentFault):
    """The embedded store's file is not what was written, or cannot be read."""

    code = "store_damaged"


class DuckDbStore:
    """One file, one thread: every statement runs there, in the order it was asked for."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises `EnvironmentFault`."""
        try:
            self._connection = _open(path)
        except duckdb.Error as error:
            raise StoreDamaged(
                f"the store cannot be opened: {str(error).splitlines()[0]}",
                where=str(path),
                fix="look at the disk; put back the whole state folder, or take it away: agents have what they told",
            ) from None
        self._thread = ThreadPoolExecutor(1, "store")

    async def append(self, position: int, batches: Sequence[Projected]) -> None:
        """As the port says."""
        await self._in_thread(lambda: self._append(position, batches))

    async def position(self) -> int:
        """As the port says."""
        return await self._in_thread(lambda: int(self._select("SELECT position FROM mark")[0][0]))

    async def range(self, selection: Selection, from_ms: int, to_ms: int) -> list[Summary]:
        """As the port says."""
        query = """SELECT * FROM told WHERE school = ? AND (room = ? OR ? IS NULL) AND (quantity = ? OR ? IS NULL)
                   AND start_ms >= ? AND start_ms < ? AND start_ms + window_s * 1000 > ?
                   ORDER BY building, room, device, quantity, channel, start_ms, window_s"""
        room, quantity = selection.room, selection.quantity
        earliest = from_ms - LONGEST_WINDOW_S * 1000
        bounds = (earliest, to_ms, from_ms)
        return await self._summaries(query, selection.school, room, room, quantity, quantity, *bounds)

    async def latest(self, until_ms: int) -> list[Summary]:
        """As the port says."""
        return await self._summaries(_LATEST, until_ms)

    async def means(self, quantity: str, from_ms: int, until_ms: int) -> Sequence[tuple[str, str, str, str, int, int]]:
        """As the port says."""
        query = """SELECT school, room, device, channel, start_ms, mean FROM told
                   WHERE quantity = ? AND start_ms >= ? AND start_ms + window_s * 1000 <= ? AND mean IS NOT NULL"""
        return cast(
            "Sequence[tuple[str, str, str, str, int, int]]",
            await self._in_thread(lambda: self._select(query, quantity, from_ms, until_ms)),
        )

    async def spans(
        self, quantities: Sequence[str], judged: tuple[str, int], from_ms: int, until_ms: int
    ) -> Sequence[tuple[str, str, int, int, bool]]:
        """As the port says."""
        query = """SELECT school, room, start_ms // 900000 * 900000 AS quarter_ms, max(window_s),
                          coalesce(bool_or(quantity = ? AND mean > ?), false)
                   FROM told WHERE start_ms >= ? AND start_ms + window_s * 1000 <= ? AND list_contains(?, quantity)
                   GROUP BY school, room, quarter_ms"""
        return cast(
            "Sequence[tuple[str, str, int, int, bool]]",
            await self._in_thread(lambda: self._select(query, *judged, from_ms, until_ms, list(quantities))),
        )

    async def export(self, school: str, from_ms: int, to_ms: int) -> list[Summary]:
        """As the port says."""
        query = """SELECT * FROM told WHERE school = ? AND start_ms >= ? AND start_ms < ?
                   ORDER BY building, room, device, quantity, channel, start_ms, window_s"""
        return await self._summaries(query, school, from_ms, to_ms)

    async def starts(self, school: str) -> tuple[int, int] | None:
        """As the port says."""
        query = "SELECT min(start_ms), max(start_ms) FROM summary WHERE school = ?"
        ((first_ms, last_ms),) = await self._in_thread(lambda: self._select(query, school))
        return None if first_ms is None else (first_ms, last_ms)

    async def left(self, school: str, from_ms: int, to_ms: int) -> list[Left]:
        """As the port says."""
        rows = await self._in_thread(lambda: self._select(_LEFT, school, from_ms, to_ms))
        return [
            Left(
                summaries=int(row[0]),
                devices=int(row[1]),
                bytes=int(row[2]),
                fields=[name for name, number in zip(FIELDS, row[3], strict=True) if number],
                last=_to_summary(row[4:]),
            )
            for row in rows
        ]

    async def forget(self, expired: Sequence[Expiry]) -> int:
        """As the port says."""
        return await self._in_thread(lambda: self._forget(expired))

    async def counts(self) -> Mapping[str, Count]:
        """As the port says."""
        rows = await self._in_thread(lambda: self._select(_COUNTS))
        return {agent: Count(times, distinct, forgotten) for agent, times, distinct, forgotten in rows}

    async def reports(self) -> Mapping[str, AgentReport]:
        """As the port says."""
        rows = await self._in_thread(
            lambda: self._select("SELECT agent, arg_max(report, position) FROM report GROUP BY agent")
        )
        return {agent: AgentReport.from_dict(json.loads(text)) for agent, text in rows}

    async def hours(self, from_day: int) -> Sequence[tuple[str, int, int]]:
        """As the port says."""
        query = "SELECT agent, day, hours FROM hours WHERE day >= ?"
        return cast("Sequence[tuple[str, int, int]]", await self._in_thread(lambda: self._select(query, from_day)))

    async def close(self) -> None:
        """As the port says."""
        await self._in_thread(self._connection.close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _summaries(self, query: str, *arguments: str | int | None) -> list[Summary]:
        return await self._in_thread(lambda: [_to_summary(row) for row in self._select(query, *arguments)])

    def _select(self, query: str, *arguments: str | int | list[str] | None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(query, arguments).fetchall()
        return rows

    def _forget(self, expired: Sequence[Expiry]) -> int:
        number = 0
        with self._transaction():
            for each in expired:
                values = [list(each.quantities), each.shortest_s, each.longest_s, each.before_ms]
                self._connection.execute(_COUNT_EXPIRED, values)
                number += self._connection.execute(_DELETE_EXPIRED, values).fetchall()[0][0]
        return number

    def _append(self, position: int, batches: Sequence[Projected]) -> None:
        summaries = _summary_columns(position, batches)
        reports = {b.agent: json.dumps(b.report.as_dict()) for b in batches if b.report is not None}
        with self._transaction():
            self._insert("INSERT INTO summary SELECT * FROM arriving", pa.table(summaries, schema=_SUMMARY_SCHEMA))
            if reports:
                columns = [[position] * len(reports), list(reports), list(reports.values())]
                self._connection.execute("DELETE FROM report WHERE list_contains(?, agent)", [list(reports)])
                self._insert("INSERT INTO report SELECT * FROM arriving", pa.table(columns, schema=_REPORT_SCHEMA))
                told = {(b.agent, b.report.hours_day, b.report.hours) for b in batches if b.report is not None}
                for each in sorted(told):
                    self._connection.execute(_NOTE_HOURS, [*each, *each])
            self._connection.execute("UPDATE mark SET position = ?", [position])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of the block's statements or none. Raises `StoreFull`."""
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.TransactionException):  # a commit that failed has undone it
                self._connection.rollback()
            if os.strerror(errno.ENOSPC) in str(error):
                raise StoreFull("the store's disk is full", fix="make room on it") from None
            raise

    def _insert(self, statement: str, rows: pa.Table) -> None:
        self._connection.register("arriving", rows)
        self._connection.execute(statement)
        self._connection.unregister("arriving")


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    offline: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    connection = duckdb.connect(str(path), config=offline)
    try:
        connection.execute(_create_table("summary", _SUMMARY_SCHEMA))
        connection.execute(_create_table("report", _REPORT_SCHEMA))
        for view in _VIEWS:
            connection.execute(view)
        connection.execute("CREATE TABLE IF NOT EXISTS forgotten (agent VARCHAR, number BIGINT)")
        connection.execute("CREATE TABLE IF NOT EXISTS hours (agent VARCHAR, day BIGINT, hours BIGINT)")
        connection.execute("CREATE TABLE IF NOT EXISTS mark (position BIGINT)")
        connection.execute("INSERT INTO mark SELECT 0 WHERE NOT EXISTS (FROM mark)")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _create_table(name: str, schema: pa.Schema) -> str:
    columns = ", ".join(f'"{field.name}" {_SQL_TYPES[field.type]}' for field in schema)
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns})"


def _summary_columns(position: int, batches: Sequence[Projected]) -> list[list[object]]:
    pairs = [(batch.agent, summary) for batch in batches for summary in batch.summaries]
    columns: list[list[object]] = [[position] * len(pairs), [agent for agent, _ in pairs]]
    columns.extend([getattr(summary.series, tag) for _, summary in pairs] for tag in _TAGS)
    columns.append([summary.start_ms for _, summary in pairs])
    columns.extend([summary.fields.get(name) for _, summary in pairs] for name in FIELDS)
    return columns


def _to_summary(row: tuple[Any, ...]) -> Summary:
    tags, start_ms, numbers = row[: len(_TAGS)], row[len(_TAGS)], row[len(_TAGS) + 1 :]
    series = Series(**dict(zip(_TAGS, tags, strict=True)))
    fields = {name: number for name, number in zip(FIELDS, numbers, strict=True) if number is not None}
    return Summary(series, start_ms, fields)
