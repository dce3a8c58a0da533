"""An agent that is watched as it lives, on a disk that can be full: what transactions may say of time and people."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import apsw

from edge_agent.events import Committed
from edge_agent.transactions import Kind
from tests.edge_agent.harness import DAY, SECOND, Bench
from tests.faults.vfs import PowerVFS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.events import Event
    from edge_agent.transactions import Transaction

_BY_THE_CLOCK: Final = frozenset({Kind.CLOSE, Kind.RELEASE, Kind.SEAL, Kind.TURN, Kind.REVISE, Kind.PLACE})
"""Steps that say when something was, or that it is over; a checkpoint does where bytes have become too old."""


class FullDisk(PowerVFS):
    """A disk on which there is room for so many writes."""

    fits: int | None = None
    """How many writes there is room for; None for any number."""

    def before(self, operation: str) -> None:
        if operation != "write" or self.fits is None:
            return
        self.fits -= 1
        if self.fits < 0:
            raise apsw.FullError

    @contextlib.contextmanager
    def with_ballast(self) -> Iterator[None]:
        """The room that a store keeps for being opened."""
        kept, self.fits = self.fits, None
        try:
            yield
        finally:
            self.fits = kept


class WatchedBench(Bench):
    """An agent whose transactions are held against the world's own clock, and against what is known of that."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.drawn: dict[int, float] = {}
        """When the noise of each slot was drawn first, by the slot's start."""
        self.forked_s = float("-inf")
        """When this store last began an epoch since somebody else may have been at the centre."""
        self._made_s = 0.0
        super().__init__(*arguments, **settings)

    def play(self, event: Event) -> None:
        before = self.commits[-1] if self.commits else None
        if isinstance(event, Committed):
            self._written(event.transaction)
        super().play(event)
        if self.commits and self.commits[-1] is not before:
            self._made(self.commits[-1])

    def _made(self, transaction: Transaction) -> None:
        self._made_s = self.clock.monotonic()
        is_by_the_clock = transaction.kind in _BY_THE_CLOCK or transaction.ledger_before_ms > 0
        believed = self.clock_trust.holds() or not is_by_the_clock
        assert believed, f"{transaction.kind} by a clock that cannot be believed"
        if transaction.spend is not None:
            self.drawn.setdefault(transaction.spend.start_ms, self._made_s)

    def _written(self, transaction: Transaction) -> None:
        if transaction.kind is Kind.FORK:
            self.forked_s = self._made_s
        if transaction.spend is not None:
            since_s = self._made_s - self.forked_s
            assert since_s >= DAY / SECOND, f"people are told of {since_s:.0f} s after a fork"
