"""The nightly batch of revisions: what came late is told once, with the rest of its window, hours after anybody came.

When it leaves, and that it does, follows from the clock and from devices that were out of reach; which windows may be
told, from the timetable and the rules alone, as for those that close in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.closing import Told, is_window_of, summary_line
from edge_agent.counts import Tally
from edge_agent.slots import Slots
from edge_agent.transactions import Kind, Run, Transaction
from edge_agent.windows import Window, aggregate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.admission import Binding
    from edge_agent.late_windows import LateSeries
    from edge_agent.open_windows import SeriesKey
    from edge_agent.slots import Held
    from edge_agent.state import State
    from edge_agent.transactions import NewSummary

HOUR_MS: Final = 3_600_000
FROM_MS: Final = 2 * HOUR_MS
UNTIL_MS: Final = 4 * HOUR_MS
"""After local midnight: when revisions leave."""


def is_due(state: State, now_ms: int) -> bool:
    """Whether something came late, it is the time at which revisions leave, and none left tonight."""
    if not len(state.late):
        return False
    midnight_ms = state.timetable.timetable.day_start(now_ms)
    return FROM_MS <= now_ms - midnight_ms < UNTIL_MS and state.late.revised_ms < midnight_ms


def revision_transaction(state: State, bindings: Mapping[str, Binding], school: str) -> Transaction:
    """Tell every window for which something came late as a revision. Changes nothing: the state follows the commit."""
    tally = Tally()
    summaries: list[NewSummary] = []
    for key, series in state.late.each():
        binding = bindings.get(key[0])
        if binding is not None and key[2] in binding.rules:
            for told, readings in _told(key, series, binding, state):
                summaries.append(summary_line(key, binding, school, told))
                tally.add("revised", readings, device=key[0])
    tally.add("summaries", len(summaries))
    return Transaction(
        kind=Kind.REVISE,
        counts=tally.counts,
        runs=[Run("", (), 1, state.closed_until_ms, (), ())],
        summaries=summaries,
    )


def _told(key: SeriesKey, series: LateSeries, binding: Binding, state: State) -> list[tuple[Told, int]]:
    """The windows of one series that may be told again, each with how many readings came late for it."""
    rule, found = binding.rules[key[2]], []
    carried: Held | None = None
    for place in series.changed():
        base, late = series.lacking.get(place), series.late.get(place)
        window = Window(*place, slots=Slots() if base is None else base[1].slots.copy())
        for held in () if late is None else late.slots:
            window.put(*held, binding.cadence)
        carried = max(filter(None, (carried, series.before(window.start_ms))), default=None)
        may_leave = not rule.in_hours_only or state.timetable.touches(window.start_ms)
        if may_leave and window.end_ms > state.told_elsewhere_ms and is_window_of(rule, window, state):
            fields = aggregate(rule.quantity, window, carried, binding.cadence)
            was = None if base is None else aggregate(rule.quantity, base[1], base[0], binding.cadence)
            if late is not None or fields != was:
                told = Told(window, rule.told(fields), state.revision_of(window.end_ms) + 1)
                found.append((told, 0 if late is None else late.readings))
        carried = window.last()
    return found
