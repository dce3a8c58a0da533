"""The summaries that wait to be sealed: a row for each, its number made of its window's start and its series.

So the newest stand side by side at one end of the table, those of one device next to each other, and no window of a
series is there twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.merging import LONGER_S
from edge_agent.store.engine import row
from edge_agent.store.schema import SERIES_BITS, sum_of
from edge_agent.transactions import NewSummary, Waiting
from telemetry import ContractViolation, Summary, decode_all
from telemetry.summaries import LONGEST_WINDOW_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import apsw

_KNOWN: Final = "INSERT OR IGNORE INTO line_series (text) VALUES (?)"
_ID: Final = f"? << {SERIES_BITS} | id"
_ADD: Final = f"INSERT INTO summary SELECT {_ID}, ?, ?, ? FROM line_series WHERE text = ?"  # noqa: S608 - our own words
_DROP_SAME: Final = f"DELETE FROM summary WHERE id = (SELECT {_ID} FROM line_series WHERE text = ?)"  # noqa: S608 - our own words
_MERGED: Final = f"INSERT OR IGNORE INTO merged SELECT {_ID} FROM line_series WHERE text = ?"  # noqa: S608 - our own words
_MERGEABLE: Final = " OR ".join(f"text LIKE '%,window={length_s}'" for length_s in LONGER_S)
_IN_USE: Final = "SELECT EXISTS (SELECT 1 FROM summary) OR EXISTS (SELECT 1 FROM merged)"
_MANY_SERIES: Final = 1 << (SERIES_BITS - 2)
_WAITING: Final = f"""
SELECT summary.id, CAST(text AS BLOB), CAST(fields AS BLOB), sum
FROM summary LEFT JOIN line_series ON line_series.id = summary.id & {(1 << SERIES_BITS) - 1}
"""  # noqa: S608 - our own words
"""As bytes: a text that a disk has changed need not be UTF-8, and its row has to be dropped then, not end the agent."""


def add(connection: apsw.Connection, summaries: Iterable[NewSummary], most: int | None = None) -> None:
    """Let summaries wait; one that waits already is a mistake of the program and raises.

    Those of a refused batch go by themselves, in batches of at most `most`.
    """
    rows = [(new.start_ms, new.fields, most, sum_of(new.line), new.series) for new in summaries]
    connection.executemany(_KNOWN, dict.fromkeys((each[-1],) for each in rows))  # not a set: the ids follow the order
    connection.executemany(_ADD, rows)


def read_newest(connection: apsw.Connection, most: int) -> list[Waiting]:
    """Those with the latest start, the newest first, and none of a refused batch."""
    return list(_read(connection, "WHERE most IS NULL ORDER BY summary.id DESC LIMIT ?", most))


def read_refused(connection: apsw.Connection) -> list[Waiting]:
    """Those of refused batches that go next, the newest first."""
    smallest = row(connection, "SELECT coalesce(min(most), 0) FROM summary WHERE most IS NOT NULL")[0]
    return list(_read(connection, "WHERE most = ? ORDER BY summary.id DESC LIMIT ?", smallest, smallest))


def read_oldest(connection: apsw.Connection, most: int) -> list[Waiting]:
    """Those with the earliest start that could be put together over longer windows."""
    return list(_read(connection, f"WHERE most IS NULL AND ({_MERGEABLE}) ORDER BY summary.id LIMIT ?", most))


def read_between(connection: apsw.Connection, from_ms: int, to_ms: int) -> list[Waiting]:
    """Those that start in this span."""
    bounds = from_ms << SERIES_BITS, to_ms << SERIES_BITS
    return list(_read(connection, "WHERE summary.id >= ? AND summary.id < ?", *bounds))


def read_all(connection: apsw.Connection) -> Iterator[Waiting]:
    """Every one, the oldest first."""
    return _read(connection, "ORDER BY summary.id")


def drop(connection: apsw.Connection, numbers: Iterable[int]) -> None:
    """They wait no more."""
    connection.executemany("DELETE FROM summary WHERE id = ?", [(number,) for number in numbers])


def drop_same(connection: apsw.Connection, news: Iterable[NewSummary]) -> None:
    """These windows of these series wait no more."""
    connection.executemany(_DROP_SAME, [(new.start_ms, new.series) for new in news])


def count(connection: apsw.Connection) -> tuple[int, int | None]:
    """How many wait, and the oldest start among them."""
    found, first = row(connection, "SELECT count(*), min(id) FROM summary")
    return found, first >> SERIES_BITS if found else None


def note_merged(connection: apsw.Connection, merged: NewSummary) -> bool:
    """Whether this longer window was not told before; from here on it counts as told."""
    connection.execute(_KNOWN, (merged.series,))
    connection.execute(_MERGED, (merged.start_ms, merged.series))
    return bool(connection.changes())


def forget_merged(connection: apsw.Connection, oldest_sealed_ms: int | None) -> None:
    """Forget longer windows of which no part can come back: neither from what waits, nor from a batch's bytes."""
    starts = [start for start in (count(connection)[1], oldest_sealed_ms) if start is not None]
    if starts:
        bound = (min(starts) - LONGEST_WINDOW_S * 1000) << SERIES_BITS
        connection.execute("DELETE FROM merged WHERE id < ?", (bound,))


def forget_series(connection: apsw.Connection) -> None:
    """Let numbers begin again while nothing waits: the clock that is set back again and again makes ever new series."""
    last = row(connection, "SELECT coalesce(max(id), 0) FROM line_series")[0]
    if last > _MANY_SERIES and not row(connection, _IN_USE)[0]:
        connection.execute("DELETE FROM line_series")


def are_refused(connection: apsw.Connection) -> bool:
    """Whether any of a refused batch waits."""
    return bool(row(connection, "SELECT EXISTS (SELECT 1 FROM summary WHERE most IS NOT NULL)")[0])


def from_lines(lines: bytes) -> list[NewSummary]:
    """Summaries out of a batch's text, to wait again; whether they are still of the contract is asked at sealing."""
    parts = (line.split(" ") for line in lines.decode().splitlines())
    return [NewSummary(series, int(start_ms), fields) for series, fields, start_ms in parts]


def understood(found: Sequence[Waiting]) -> list[tuple[Waiting, Summary]]:
    """Those that are intact and of the contract as it is today, each with what it says."""
    intact = [each for each in found if each.line]
    try:
        told = decode_all("".join(f"{each.line}\n" for each in intact).encode())
    except ContractViolation:
        return [] if len(intact) == 1 else [pair for each in intact for pair in understood([each])]
    return list(zip(intact, told, strict=True))


def _read(connection: apsw.Connection, condition: str, *values: int) -> Iterator[Waiting]:
    for number, *texts, checked in connection.execute(f"{_WAITING} {condition}", values):
        series, fields = ((text or b"").decode(errors="replace") for text in texts)
        new = NewSummary(series, number >> SERIES_BITS, fields)
        yield Waiting(number, new.start_ms, new.line if sum_of(new.line) == checked else "")
