"""The privacy ledger on disk: a row for each slot that was told, chained by SHA-256; and privacy time.

A slot has one row, so that nothing of it can be told twice. The row says what it cost, and the SHA-256 of the exact
lines that were told for it. Rows are never deleted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_agent.privacy.budget import DAY_MS, Charge, Moment, Spending
from edge_agent.store.engine import row
from edge_agent.store.schema import sum_of
from telemetry.uplink_contract import GENESIS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from edge_agent.transactions import NewSummary, Spend

COLUMNS: Final = ("id", "start_ms", "privacy_ms", "rho_nano", "sigma_milli", "lines_sha256", "head")
CLOCK_COLUMNS: Final = "privacy_ms, wall_ms, monotonic_ms, closed_until_ms, chained_from, head, sum"
_ROWS: Final = f"SELECT {', '.join(COLUMNS)} FROM spend ORDER BY id"  # noqa: S608 - our own words
_CLOCK: Final = f"SELECT {CLOCK_COLUMNS} FROM privacy_clock"  # noqa: S608 - our own words
_SPENT: Final = "SELECT coalesce(sum(rho_nano), 0) FROM spend WHERE privacy_ms > ?"
_LARGEST: Final = 1 << 60
_SET: Final = "INSERT OR REPLACE INTO privacy_clock VALUES (1, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(slots=True)
class _Clock:
    """The one row that says how far privacy time is, and where the chain begins and ends."""

    privacy_ms: int = 0
    wall_ms: int | None = None
    """What the clocks showed then; None where that is not known."""
    monotonic_ms: int | None = None
    closed_until_ms: int = 0
    chained_from: int = 1
    """The number of the first row of the chain."""
    head: bytes = b""
    """Of the chain's last row; empty where that is not known."""

    @classmethod
    def read(cls, connection: apsw.Connection) -> _Clock:
        """As it was written; one that is not has no head."""
        found = connection.execute(_CLOCK).fetchone()
        return cls._of(found) if found is not None else cls()

    @classmethod
    def _of(cls, found: Sequence[Any]) -> _Clock:
        *values, checked = found
        return cls(*values) if sum_of(*values) == checked else cls()

    def write(self, connection: apsw.Connection) -> None:
        """Take the row's place."""
        values = self.privacy_ms, self.wall_ms, self.monotonic_ms, self.closed_until_ms, self.chained_from, self.head
        connection.execute(_SET, (*values, sum_of(*values)))

    @property
    def moment(self) -> Moment | None:
        """When privacy time was that far."""
        if self.wall_ms is None or self.monotonic_ms is None:
            return None
        return Moment(self.privacy_ms, self.wall_ms, self.monotonic_ms)


def spend(connection: apsw.Connection, order: Spend, told: Iterable[NewSummary]) -> None:
    """Charge a slot for the lines that are told of it, in the transaction that is open.

    A slot that was charged before, or one that the budget has no room for, is a mistake of the program and raises.
    """
    spent = row(connection, _SPENT, (order.charge.privacy_ms - DAY_MS,))[0]
    if spent + order.charge.rho_nano > order.rho_nano:
        raise ValueError("a slot that the privacy budget has no room for")
    clock = _Clock.read(connection)
    lines_sha256 = hashlib.sha256("".join(f"{each.line}\n" for each in told).encode()).digest()
    number = row(connection, "SELECT coalesce(max(id), 0) + 1 FROM spend")[0]
    values = number, order.start_ms, *order.charge, order.sigma_milli, lines_sha256
    clock.head = _link(clock.head, values)
    connection.execute("INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, clock.head))
    clock.write(connection)


def keep_time(connection: apsw.Connection, moment: Moment) -> None:
    """Write down how far privacy time is; it never goes back."""
    clock = _Clock.read(connection)
    if moment.privacy_ms >= clock.privacy_ms:
        clock.privacy_ms, clock.wall_ms, clock.monotonic_ms = moment
        clock.write(connection)


def close_until(connection: apsw.Connection, privacy_ms: int) -> None:
    """Tell nothing before this privacy time: another copy of this ledger may have spent what this one does not know."""
    clock = _Clock.read(connection)
    clock.closed_until_ms = max(clock.closed_until_ms, privacy_ms)
    clock.write(connection)


def read(connection: apsw.Connection) -> Spending:
    """The ledger; one that is not what was written says so, and raises nothing."""
    clock = _Clock.read(connection)
    spending = Spending(privacy_ms=clock.privacy_ms, kept=clock.moment, closed_until_ms=clock.closed_until_ms)
    head, expected = GENESIS, clock.chained_from
    is_whole = True
    for *values, stored in connection.execute(_ROWS):
        number, start_ms, privacy_ms, rho_nano = values[:4]
        if not all(isinstance(each, int) and abs(each) < _LARGEST for each in values[:4]):  # pages may say anything
            is_whole = is_whole and number < clock.chained_from
            continue
        spending.add(start_ms, Charge(privacy_ms, rho_nano))
        if number < clock.chained_from:
            continue
        head = _link(head, values)
        is_whole = is_whole and number == expected and head == stored
        expected += 1
    spending.is_whole = is_whole and head == clock.head
    return spending


def copy_clock(connection: apsw.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Take over the clock of a damaged store, if it is what was written."""
    for *values, checked in rows:
        if sum_of(*values) == checked:
            connection.execute(_SET, (*values, checked))


def begin_again(connection: apsw.Connection) -> None:
    """Behind a ledger that may not be whole, begin a chain of its own, and tell nothing for 24 hours of privacy time.

    What can be read stays: the slots in it are told.
    """
    clock, found = _Clock.read(connection), read(connection)
    clock.privacy_ms, clock.wall_ms, clock.monotonic_ms = found.privacy_ms, None, None
    clock.closed_until_ms = max(clock.closed_until_ms, found.privacy_ms + DAY_MS)
    clock.chained_from = row(connection, "SELECT coalesce(max(id), 0) + 1 FROM spend")[0]
    clock.head = GENESIS
    clock.write(connection)


def _link(head: bytes, values: Iterable[object]) -> bytes:
    """The chain's head after a row: SHA-256 over the head before it and the row's values as text."""
    text = " ".join(each.hex() if isinstance(each, bytes) else str(each) for each in values)
    return hashlib.sha256(head + text.encode()).digest()
