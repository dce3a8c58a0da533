"""Looks at a store from outside, beside a running agent or without one: how full, whether whole, what is in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import apsw

from edge_agent.store import engine, outbox, spending, summaries
from edge_agent.store.audit import broken_links
from edge_agent.store.recovery import check_readable
from edge_agent.store.schema import SERIES_BITS
from telemetry import ContractViolation, Decoder, LineProtocolError, UnknownInLine, quantity
from telemetry.summaries import MEASURED_FIELDS
from telemetry.uplink_contract import unseal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from telemetry import Summary

HOUR_MS: Final = 3_600_000
_LEDGER: Final = """
SELECT body, summaries FROM batch WHERE state = 'acknowledged' AND kind = 'summaries' AND body NOT NULL ORDER BY id
"""
_SEALED: Final = """
SELECT body, summaries FROM batch WHERE state = 'sealed' AND kind = 'summaries' AND summaries > 0 ORDER BY id
"""
_MOST_SERIES: Final = 10_000
RATE_OVER_MS: Final = 24 * HOUR_MS
"""The time whose summaries are the present rate."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """What a store holds at one moment."""

    epoch: str
    last_sequence: int
    waiting_summaries: int
    """Not acknowledged by the centre, sealed or not."""
    unacknowledged_batches: int
    oldest_ms: int | None
    """Start of the oldest window among them."""
    used_bytes: int
    ledger_bytes: int
    """Of these, exact bytes of batches that the centre has: they go first when room is wanted."""
    summaries_an_hour: float
    """Made in the last day; 0 where there is none to tell by."""
    written_bytes: int
    """By the agent to disks, in the time it ran."""
    ran_s: int

    @property
    def wear_gb_a_day(self) -> float | None:
        """How much the agent writes to disk in a day of work; None before it has told."""
        return self.written_bytes / 1e9 / (self.ran_s / 86_400) if self.ran_s else None


def inspect(folder: Path, now_ms: int) -> Buffer:
    """Read the figures in one snapshot. Raises `StoreUnusable`."""
    with engine.reading(folder) as connection:
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        one = _One(connection)
        recent_ms = now_ms - RATE_OVER_MS
        first_ms = one("SELECT min(sealed_ms) FROM batch")
        made = one("SELECT coalesce(sum(summaries), 0) FROM batch WHERE sealed_ms >= ?", recent_ms)
        made += one("SELECT count(*) FROM summary WHERE id >= ?", recent_ms << SERIES_BITS)
        waiting, oldest_ms = summaries.count(connection)
        oldest_sealed_ms = one("SELECT min(oldest_ms) FROM batch WHERE state = 'sealed'")
        hours = min(now_ms - (recent_ms if first_ms is None else first_ms), RATE_OVER_MS) / HOUR_MS
        return Buffer(
            epoch=meta["epoch"],
            last_sequence=one("SELECT coalesce(max(sequence), 0) FROM batch WHERE epoch = ?", meta["epoch"]),
            waiting_summaries=waiting + outbox.count_sealed(connection),
            unacknowledged_batches=one("SELECT count(*) FROM batch WHERE state = 'sealed'"),
            oldest_ms=min(filter(None, (oldest_ms, oldest_sealed_ms)), default=None),
            used_bytes=engine.used_bytes(connection),
            ledger_bytes=one("SELECT coalesce(sum(length(body)), 0) FROM batch WHERE state = 'acknowledged'"),
            summaries_an_hour=made / hours if hours > 0 else 0.0,
            written_bytes=int(meta.get("written_bytes", "0")),
            ran_s=int(meta.get("ran_s", "0")),
        )


class _One:
    """The one value of a query that always has one."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __call__(self, sql: str, *values: apsw.SQLiteValue) -> Any:
        return engine.row(self._connection, sql, values)[0]


def verify(folder: Path) -> list[str]:
    """Everything in the store that is not what was written, in words. Raises `StoreUnusable`."""
    try:
        with engine.reading(folder) as connection:
            lost = [engine.LOG_IS_GONE] if engine.has_lost_log(connection, folder) else []
            try:
                return [*lost, *_faults(connection)]
            except apsw.IOError as error:
                return [*lost, f"the file itself cannot be read to its end: {type(error).__name__}"]
    except engine.StoreDamaged as error:
        return [error.what]


def _faults(connection: apsw.Connection) -> Iterator[str]:
    for (found,) in connection.execute("PRAGMA integrity_check(20)"):
        if found != "ok":
            yield f"SQLite: {found}"
    try:
        check_readable(connection)
    except (ValueError, LookupError) as error:
        yield f"the agent could not go on from it: {error}"
    if not spending.read(connection).is_whole:
        yield "the privacy ledger is not what was written: people counts stay closed for a day"
    damaged = sum(not waiting.line for waiting in summaries.read_all(connection))
    if damaged:
        yield f"{damaged} summaries that wait are not what was written"
    for body, digest, name in connection.execute(
        "SELECT body, body_sha256, epoch || '-' || sequence FROM batch WHERE state = 'sealed'"
    ):
        if body is None or hashlib.sha256(body).digest() != digest:
            yield f"batch {name} waits to be sent and is not what was sealed"
    yield from broken_links(connection)


@dataclass(slots=True)
class LeftOut:
    """Summaries that an export could not write."""

    unknown: int = 0
    """Not of the contract as this version has it: another version wrote them."""
    damaged: int = 0
    """Not what was written."""


def export(folder: Path, *, with_ledger: bool, left_out: LeftOut) -> Iterator[dict[str, str | int | float]]:
    """Every summary that the centre has not acknowledged; with the ledger, those it has too.

    One flat record each: the series, start in milliseconds, each field in the quantity's unit. What cannot be told so
    is counted in `left_out`. Raises `StoreUnusable`.
    """
    decoder = Decoder(remember=_MOST_SERIES)
    with engine.reading(folder) as connection:
        for sealed in (_LEDGER, _SEALED) if with_ledger else (_SEALED,):
            for body, number in connection.execute(sealed):
                try:
                    lines = unseal(body or b"").splitlines(keepends=True)
                except ContractViolation:
                    left_out.damaged += number
                    continue
                yield from _records(lines, decoder, left_out)
        waiting = (f"{each.line}\n".encode() for each in summaries.read_all(connection))
        yield from _records(waiting, decoder, left_out)


def _records(lines: Iterable[bytes], decoder: Decoder, left_out: LeftOut) -> Iterator[dict[str, str | int | float]]:
    for line in lines:
        try:
            (summary,) = decoder.decode(line)
        except UnknownInLine:
            left_out.unknown += 1
        except LineProtocolError:
            left_out.damaged += 1
        else:
            yield _record(summary)


def _record(summary: Summary) -> dict[str, str | int | float]:
    entry, series = quantity(summary.series.quantity), summary.series
    record: dict[str, str | int | float] = {
        "quantity": series.quantity,
        "unit": entry.unit,
        "school": series.school,
        "building": series.building,
        "room": series.room,
        "device": series.device,
        "channel": series.channel,
        "revision": series.revision,
        "window_s": series.window_s,
        "start_ms": summary.start_ms,
    }
    for name, number in summary.fields.items():
        record[name] = number / 10**entry.decimals if name in MEASURED_FIELDS else number
    return record
