"""A device that was moved, or replaced by another under its id: what was measured before stays with what it was of.

What is measured in one room is never told as another's, and what a new unit has counted in its life so far is no
increase. So readings of windows that were open when the configuration changed are withheld: of a device that moved all
of them, of one that was replaced those that count up. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.counts import Tally
from edge_agent.transactions import Kind, Transaction
from telemetry import Summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.admission import Binding
    from edge_agent.open_windows import SeriesKey
    from edge_agent.state import State
    from edge_agent.transactions import Fitting

MOVED: Final = "device_moved"
REPLACED: Final = "device_replaced"


def fittings_of(state: State, bindings: Mapping[str, Binding]) -> dict[str, Fitting]:
    """Where every device is, and which unit; of one that is not configured, as long as something of it is open."""
    kept = {device: fitting for device, fitting in state.fittings.items() if device not in bindings}
    if kept:
        open_still = {device for device, _, _ in state.windows.series}
        kept = {device: fitting for device, fitting in kept.items() if device in open_still}
    return kept | {device: binding.fitting for device, binding in bindings.items()}


def refit_transaction(state: State, bindings: Mapping[str, Binding]) -> Transaction | None:
    """What follows from devices that are elsewhere, or others, than the store has them; None if none is."""
    changed = {
        device: MOVED if known.place != bindings[device].fitting.place else REPLACED
        for device, known in state.fittings.items()
        if device in bindings and known != bindings[device].fitting
    }
    if not changed:
        return None
    tally = Tally()
    ended: list[SeriesKey] = []
    for key, windows in state.windows.series.items():
        why = changed.get(key[0])
        if why == MOVED or (why == REPLACED and not _is_measured_anew(bindings[key[0]], key[2])):
            tally.add("withheld", sum(window.readings for window in windows.open.values()), key[0], why)
            ended.append(key)
    ended += [key for key in state.safety if key[0] in changed]
    for run in state.unplaced:
        if run.device in changed:
            tally.add("withheld", run.rows * len(run.columns), run.device, changed[run.device])
    return Transaction(
        kind=Kind.REFIT,
        counts=tally.counts,
        ended=ended,
        refitted=frozenset(changed),
        fittings=fittings_of(state, bindings),
        checkpoint=state.checkpoint(without=frozenset(ended), refitted=frozenset(changed)),
        timetable_days=state.live_days(),
    )


def _is_measured_anew(binding: Binding, name: str) -> bool:
    """Whether a reading says nothing of those before it; another version may have had quantities of its own."""
    rule = binding.rules.get(name)
    return rule is not None and rule.quantity.summarise is not Summarise.COUNTER
