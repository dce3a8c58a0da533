"""What to do as the disk fills: give up old bytes, then resolution, and in the end take nothing more in.

In that order (design section 4): acknowledged batches become hashes; summaries that wait are merged into longer
windows, and that is counted; then whoever sends has to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.merging import MergeOrder
from edge_agent.transactions import Kind, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.admission import Binding
    from edge_agent.privacy.rules import Rule
    from edge_agent.room import Room
    from edge_agent.state import State
    from edge_agent.transactions import Written

SHORTEN_FROM: Final = 0.80
MERGE_FROM: Final = 0.90
HOLD_FROM: Final = 0.97
RELEASE_BELOW: Final = 0.95
MERGED_AT_ONCE: Final = 20_000
RETRY_S: Final = 1.0
LOOK_EVERY_S: Final = 1.0
TRY_AGAIN_S: Final = 600.0
"""After which there may be something to give up where there was nothing: more windows are over, or acknowledged."""


class Pressure:
    """Watches how full the store is, and orders relief, one transaction at a time."""

    def __init__(self, room: Room, now: float) -> None:
        self._room = room
        self._look_at = now
        self._share = 0.0
        self._nothing_to_shorten = self._nothing_to_merge = False
        self._used_before = 0
        self._full_until: float | None = None
        self._relief_at = now
        self._try_again_at = now + TRY_AGAIN_S
        self.is_holding = False
        """Whether nothing may be taken in."""

    def no_room(self, transaction: Transaction, now: float) -> None:
        """A commit found the disk full."""
        self.is_holding = True
        self._full_until = now + RETRY_S
        self._relief_at = now + RETRY_S if transaction.kind in (Kind.SHORTEN, Kind.MERGE) else now
        self._nothing_to_shorten = self._nothing_to_merge = False

    def look(self, state: State, now: float) -> None:
        """See how full the store is; take in again, or no more."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        self._share = state.used_bytes / self._room.bytes_for(state.used_bytes)
        is_relaxed = self._share < SHORTEN_FROM and self._full_until is None
        if self._share >= HOLD_FROM and self._nothing_to_shorten and self._nothing_to_merge:
            self.is_holding = True
        elif self._share < RELEASE_BELOW and (self._full_until is None or now >= self._full_until):
            self.is_holding, self._full_until = False, None
        if is_relaxed or now >= self._try_again_at:
            self._nothing_to_shorten = self._nothing_to_merge = False
            self._try_again_at = now + TRY_AGAIN_S

    def is_waiting(self, now: float) -> bool:
        """Whether a commit found the disk full a moment ago, so that nothing but relief is worth a try."""
        return self._full_until is not None and now < self._full_until

    def relief_due(self, state: State, bindings: Mapping[str, Binding], now: float) -> Transaction | None:
        """What to write to have more room, if anything can be done."""
        is_full = self._full_until is not None
        if now < self._relief_at:
            return None
        if (is_full or self._share >= SHORTEN_FROM) and not self._nothing_to_shorten:
            self._used_before = state.used_bytes
            return Transaction(kind=Kind.SHORTEN, shorten_bytes=max(1, state.used_bytes // 20))
        if (is_full or self._share >= MERGE_FROM) and not self._nothing_to_merge:
            self._used_before = state.used_bytes
            day_start = state.timetable.timetable.day_start
            order = MergeOrder(MERGED_AT_ONCE, state.closed_until_ms, day_start, _rules(bindings))
            return Transaction(kind=Kind.MERGE, merge=order)
        return None

    def relieved(self, transaction: Transaction, written: Written) -> None:
        """Relief is on disk, as far as there was any to have."""
        self._look_at = 0
        if transaction.kind is Kind.SHORTEN:
            self._nothing_to_shorten = written.used_bytes >= self._used_before
        else:
            self._nothing_to_merge = not written.counts


def _rules(bindings: Mapping[str, Binding]) -> Callable[[str, str], Rule | None]:
    def rule_of(device: str, quantity: str) -> Rule | None:
        binding = bindings.get(device)
        return None if binding is None else binding.rules.get(quantity)

    return rule_of
