"""Agents that break a promise, each in one place, as a careless change would make them: seeded lives must find each.

`python -m tests.faults.mutants [COUNT]` says which seeds do, of the 200 that `make test` lives, or of so many.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from edge_agent.core import _VERDICTS, Core
from edge_agent.delivery import DeliveryPlan
from edge_agent.placing import place_transaction
from edge_agent.transactions import Kind
from tests.faults.simulate import live
from tests.faults.spread import spread
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.events import Delivered
    from edge_agent.state import State
    from edge_agent.transactions import Transaction

    Mutant = Callable[[pytest.MonkeyPatch], None]


def verdict_is_lost_on_a_full_disk(patch: pytest.MonkeyPatch) -> None:
    """What the centre said is forgotten when there was no room to write it down."""
    real = Core._undone

    def undone(core: Core, transaction: Transaction) -> None:
        real(core, transaction)
        if transaction.kind in _VERDICTS:
            core._verdict = None

    patch.setattr(Core, "_undone", undone)


def fork_leaves_counts_open(patch: pytest.MonkeyPatch) -> None:
    """After a fork, counts of people are told as if nobody else had spent of the budget."""
    real = Core._next

    def next_(core: Core) -> Transaction | None:
        due = real(core)
        return replace(due, counts_closed_ms=None) if due is not None and due.kind is Kind.FORK else due

    patch.setattr(Core, "_next", next_)


def clock_set_back_makes_no_turn(patch: pytest.MonkeyPatch) -> None:
    """Windows that were told before the clock was set back are never told again."""

    def set_clock_due(core: Core) -> Transaction | None:
        if core.watch.is_trusted and len(core.state.unplaced):
            return place_transaction(core.state, core.admission.bindings, core.school, core.watch.correction_ms)
        if core.watch.is_trusted and not core._pending.is_provisional:
            core.watch.placed()
        return None

    patch.setattr(Core, "_set_clock_due", set_clock_due)


def windows_close_by_an_untrusted_clock(patch: pytest.MonkeyPatch) -> None:
    """Windows are over when the clock says so, whether it can be believed or not."""
    _as_if_trusted(patch, "_close_due")


def batches_are_sealed_by_an_untrusted_clock(patch: pytest.MonkeyPatch) -> None:
    """Batches are stamped with whatever the clock says."""
    _as_if_trusted(patch, "_seal_due")


def ledger_is_shortened_by_an_untrusted_clock(patch: pytest.MonkeyPatch) -> None:
    """Bytes are too old when the clock says so, whether it can be believed or not."""
    _as_if_trusted(patch, "_checkpoint_due")


def recall_checks_no_chain(patch: pytest.MonkeyPatch) -> None:
    """A batch that the centre has lost is offered again whatever the centre has before it."""
    real = DeliveryPlan.recall_due

    def recall_due(plan: DeliveryPlan, state: State) -> Transaction | None:
        due = real(plan, state)
        return None if due is None else replace(due, head=b"")

    patch.setattr(DeliveryPlan, "recall_due", recall_due)


def head_of_others_goes_unseen(patch: pytest.MonkeyPatch) -> None:
    """A batch is the centre's, whatever it stands behind there."""
    real = DeliveryPlan.delivered

    def delivered(plan: DeliveryPlan, state: State, event: Delivered) -> Transaction:
        due = real(plan, state, event)
        plan._is_behind_others = False
        return due

    patch.setattr(DeliveryPlan, "delivered", delivered)


def _as_if_trusted(patch: pytest.MonkeyPatch, name: str) -> None:
    real = getattr(Core, name)

    def due(core: Core, now: float) -> Any:
        believed, core.watch.is_trusted = core.watch.is_trusted, True
        try:
            return real(core, now)
        finally:
            core.watch.is_trusted = believed

    patch.setattr(Core, name, due)


MUTANTS: Final[dict[Mutant, tuple[int, ...]]] = {
    verdict_is_lost_on_a_full_disk: (50, 61, 77, 93),
    fork_leaves_counts_open: (16, 4, 66),
    clock_set_back_makes_no_turn: (14, 16, 18),
    windows_close_by_an_untrusted_clock: (9, 0, 23),
    batches_are_sealed_by_an_untrusted_clock: (1, 18, 8),
    ledger_is_shortened_by_an_untrusted_clock: (11, 1, 9),
    recall_checks_no_chain: (43, 47, 55),
    head_of_others_goes_unseen: (7, 15, 35),
}
"""Each with some seeds that find it."""


def _find(place: tuple[str, int]) -> str:
    """What a seed's life says of a mutant."""
    name, seed = place
    logging.disable(logging.CRITICAL)
    with memory_folder("mutant-") as folder, pytest.MonkeyPatch.context() as patch:
        next(mutant for mutant in MUTANTS if mutant.__name__ == name)(patch)
        return live((Path(folder), seed)).broken


def main(count: int) -> int:
    """Say which of so many seeds find each mutant, and how; 1 where none does."""
    missed = 0
    for mutant in MUTANTS:
        places = [(mutant.__name__, seed) for seed in range(count)]
        found = [said for said in spread(_find, places, at_once=10) if said]
        print(f"{mutant.__name__}: {len(found)} of {count} seeds", *found, sep="\n  ", flush=True)
        missed += not found
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 200))
