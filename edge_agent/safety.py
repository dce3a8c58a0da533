"""What is told of safety: each change of a state at once, stamped with a second of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.closing import Told, summary_line
from edge_agent.slots import Held
from edge_agent.state import stamp_of_event
from edge_agent.transactions import NO_WINDOW, NewSummary, Run
from edge_agent.windows import Window

if TYPE_CHECKING:
    from edge_agent.admission import Binding
    from edge_agent.lanes import Column
    from edge_agent.open_windows import SeriesKey
    from edge_agent.state import State


class Teller:
    """Tells the states of one transaction: when they change, and the first time they are known. Changes no state."""

    def __init__(self, state: State, school: str) -> None:
        self._state = state
        self._school = school
        self._told: dict[SeriesKey, Held] = {}
        self.runs: list[Run] = []
        self.summaries: list[NewSummary] = []

    def tell(self, binding: Binding, column: Column, event_ms: int, ticks: int) -> None:
        """Journal a state, and tell it if it is another than the one told last."""
        _, channel, rule = column
        key = (binding.device, channel, rule.quantity.id)
        told = self._told.get(key) or self._state.safety.get(key)
        self.runs.append(Run(binding.device, ((channel, rule.quantity.id),), 1, event_ms, [ticks], [NO_WINDOW]))
        if told is not None and told.ticks == ticks:
            return
        window = Window(stamp_of_event(event_ms, told), 1)
        self._told[key] = Held(window.start_ms, ticks)
        told_now = Told(window, {"last": ticks}, self._state.revision_of(window.end_ms))
        self.summaries.append(summary_line(key, binding, self._school, told_now))
