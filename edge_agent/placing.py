"""Finds the windows of what has waited for a clock that can be believed. Pure."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from edge_agent.counts import Tally
from edge_agent.lanes import Column
from edge_agent.safety import Teller
from edge_agent.transactions import PLACED, UNPLACED_EVENT, Kind, Run, Transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.admission import Binding
    from edge_agent.state import State


def place_transaction(state: State, bindings: Mapping[str, Binding], school: str, correction_ms: int) -> Transaction:
    """Everything unplaced, moved by `correction_ms` and put where it belongs; what is too late there is counted."""
    tally, teller = Tally(), Teller(state, school)
    runs: list[Run] = [PLACED]
    for unplaced in sorted(state.unplaced, key=attrgetter("event_ms")):
        run = unplaced._replace(event_ms=unplaced.event_ms + correction_ms)
        binding = bindings.get(run.device)
        if binding is None or any(quantity not in binding.rules for _, quantity in run.columns):
            tally.add("withheld", run.rows * len(run.columns), run.device, "device_removed")
        elif run.windows[0] == UNPLACED_EVENT:
            ((channel, quantity),), (ticks,) = run.columns, run.ticks
            teller.tell(binding, Column(0, channel, binding.rules[quantity]), run.event_ms, ticks)
            tally.add("summarised", run.rows, run.device)
        else:
            placed = _placed(run, binding, state)
            tally.add("late", run.rows * (len(run.columns) - len(placed.columns)), run.device)
            runs += [placed] if placed.columns else []
    tally.add("summaries", len(teller.summaries))
    return Transaction(
        kind=Kind.PLACE,
        counts=tally.counts,
        runs=runs + teller.runs,
        summaries=teller.summaries,
        timetable_days=state.live_days(),
    )


def _placed(run: Run, binding: Binding, state: State) -> Run:
    """The run in its windows, without those that are closed."""
    windows = [binding.rules[quantity].window_at(run.event_ms, state.timetable) for _, quantity in run.columns]
    kept = [place for place, (start_ms, length_s) in enumerate(windows) if state.is_open(start_ms + length_s * 1000)]
    return run._replace(
        columns=tuple(run.columns[place] for place in kept),
        ticks=[run.ticks[place] for place in kept],
        windows=[windows[place] for place in kept],
    )
