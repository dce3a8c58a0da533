"""The store port: a projection of the inbox that knows how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from telemetry import DeliveryFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloud_sink.retention import Expiry
    from telemetry import Summary
    from telemetry.uplink_contract import AgentReport


class StoreFull(DeliveryFault):
    """The disk has no room for what is to be stored; nothing of it is, and it may be tried again."""

    code = "store_full"


@dataclass(frozen=True, slots=True)
class Projected:
    """What one batch of an agent says: its summaries, or its report."""

    agent: str
    summaries: Sequence[Summary] = ()
    report: AgentReport | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series: those of a school, narrowed to a room and a quantity where these are given."""

    school: str
    room: str | None = None
    quantity: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many summaries of one agent a store holds: rows as they came, and distinct ones; and how many of those it
    had it has forgotten, since their time was over."""

    rows: int
    distinct: int
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What was told of one quantity in windows of one length."""

    summaries: int
    devices: int
    bytes: int
    """Of their lines, unpacked."""
    fields: Sequence[str]
    """Those that any of them has, in the order they are written."""
    last: Summary
    """The one that starts last."""


class Store(Protocol):
    """What every store can do. Readers see the highest revision of a window, however often it came.

    `append` moves the position in the transaction of its rows, so that a batch is in the store once or not at
    all. Times are milliseconds; a window belongs to a span when it overlaps it. Methods may be called at any time
    from the event loop and never block it.
    """

    async def append(self, position: int, batches: Sequence[Projected]) -> None:
        """Add what the batches up to `position` of the inbox say. Raises `StoreFull`."""
        ...

    async def position(self) -> int:
        """The inbox position up to which everything is in the store; 0 when it is empty."""
        ...

    async def range(self, selection: Selection, from_ms: int, to_ms: int) -> list[Summary]:
        """The windows that overlap [from, to), by series and start."""
        ...

    async def latest(self, until_ms: int) -> list[Summary]:
        """The window that ends last, and not behind `until_ms`, of every device, channel and quantity."""
        ...

    async def means(self, quantity: str, from_ms: int, until_ms: int) -> Sequence[tuple[str, str, str, str, int, int]]:
        """School, room, device, channel, start and mean of every window within [from, until)."""
        ...

    async def spans(
        self, quantities: Sequence[str], judged: tuple[str, int], from_ms: int, until_ms: int
    ) -> Sequence[tuple[str, str, int, int, bool]]:
        """Of each room, the windows of any of the quantities within [from, until), coarsened to the quarter hours they
        start in.

        School, room, start, longest length in seconds, and whether the mean of the judged quantity was above its level.
        """
        ...

    async def export(self, school: str, from_ms: int, to_ms: int) -> list[Summary]:
        """The windows that start in [from, to), by series and start."""
        ...

    async def starts(self, school: str) -> tuple[int, int] | None:
        """When the first and the last of a school's windows start; None where there is none."""
        ...

    async def left(self, school: str, from_ms: int, to_ms: int) -> list[Left]:
        """What was told by windows that start in [from, to), every revision of them, by quantity and length."""
        ...

    async def forget(self, expired: Sequence[Expiry]) -> int:
        """Delete summaries whose time is over, and count them; returns how many there were. Raises `StoreFull`."""
        ...

    async def counts(self) -> Mapping[str, Count]:
        """How many summaries of each agent there are."""
        ...

    async def reports(self) -> Mapping[str, AgentReport]:
        """The last report of each agent."""
        ...

    async def hours(self, from_day: int) -> Sequence[tuple[str, int, int]]:
        """Agent, day and hours, as `AgentReport` has them, of each day from that one on with timetable hours."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        ...
