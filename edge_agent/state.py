"""The agent's durable state as it stands in memory, and how it is rebuilt from the store after a start."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from edge_agent.timetable import CompiledTimetable
from edge_agent.windows import Held, SeriesWindows, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.admission import Binding
    from edge_agent.events import CountKey
    from edge_agent.timetable import Timetable
    from edge_agent.transactions import SealedBatch
    from telemetry import Reading


SeriesKey: TypeAlias = tuple[str, str, str]
"""One channel of one quantity of one device, in a reading's order: device, channel, quantity."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the store held when it was opened."""

    epoch: str
    next_sequence: int
    head: bytes
    closed_until_ms: int
    checkpoint: bytes
    journal: Sequence[Reading]
    """Readings committed after the checkpoint, in order."""
    counts: Mapping[CountKey, int]
    receipts: Mapping[tuple[str, int], bytes]
    unacknowledged: Sequence[SealedBatch]
    waiting: int
    """Summaries in the outbox that are not sealed."""
    splitting: bool
    oldest_waiting_ms: int | None
    timetable_days: Mapping[int, int]


@dataclass(slots=True)
class State:
    """Everything the core knows. It changes when a commit completes, never before."""

    epoch: str
    next_sequence: int
    head: bytes
    closed_until_ms: int
    counts: dict[CountKey, int]
    receipts: dict[tuple[str, int], bytes]
    unacknowledged: dict[int, SealedBatch]
    waiting: int
    splitting: bool
    """Whether summaries of refused batches may wait to be sealed in smaller ones."""
    oldest_waiting_ms: int | None
    timetable: CompiledTimetable
    series: dict[SeriesKey, SeriesWindows] = field(default_factory=dict)
    safety: dict[SeriesKey, Held] = field(default_factory=dict)
    """The last state told of each safety series, and the second it was stamped with."""

    @classmethod
    def rebuild(cls, recovered: Recovered, timetable: Timetable, bindings: Mapping[str, Binding]) -> State:
        """The state before the stop: the checkpoint, and every reading journalled since, in order."""
        state = cls(
            epoch=recovered.epoch,
            next_sequence=recovered.next_sequence,
            head=recovered.head,
            closed_until_ms=recovered.closed_until_ms,
            counts=dict(recovered.counts),
            receipts=dict(recovered.receipts),
            unacknowledged={batch.sequence: batch for batch in recovered.unacknowledged},
            waiting=recovered.waiting,
            splitting=recovered.splitting,
            oldest_waiting_ms=recovered.oldest_waiting_ms,
            timetable=CompiledTimetable(timetable, dict(recovered.timetable_days)),
        )
        if recovered.checkpoint:
            state._restore(recovered.checkpoint)
        for reading in recovered.journal:
            binding = bindings.get(reading.device)
            if binding is not None and reading.quantity in binding.rules:
                state.apply(reading, binding)
        for windows in state.series.values():
            for window in windows.over(state.closed_until_ms):
                windows.close(window)
        return state

    def apply(self, reading: Reading, binding: Binding, window: tuple[int, int] | None = None) -> None:
        """Put one journalled reading where it belongs; into its `window`, where that is known."""
        key = reading[:3]
        ticks, event_ms = reading.ticks, reading.event_ms
        rule = binding.rules[reading.quantity]
        if rule.is_event:
            told = self.safety.get(key)
            if told is None or told.ticks != ticks:
                self.safety[key] = Held(stamp_of_event(event_ms, told), ticks)
            return
        windows = self.series.get(key)
        if windows is None:
            windows = self.series[key] = SeriesWindows()
        start_ms, length_s = window or rule.window_at(event_ms, self.timetable)
        windows.add(start_ms, length_s, Held(event_ms, ticks), binding.cadence)

    def oldest_stored_ms(self) -> int | None:
        """Start of the oldest window that the centre has not acknowledged."""
        starts = [batch.oldest_ms for batch in self.unacknowledged.values()]
        return min((start for start in (*starts, self.oldest_waiting_ms) if start is not None), default=None)

    def open_readings(self) -> int:
        """Readings in windows that are not over."""
        return sum(window.readings for windows in self.series.values() for window in windows.open.values())

    def checkpoint(self) -> bytes:
        """The open windows as the store keeps them."""
        series = [
            [*key, windows.carried, [_window_row(window) for window in windows.open.values()]]
            for key, windows in self.series.items()
        ]
        safety = [[*key, *held] for key, held in self.safety.items()]
        return json.dumps({"series": series, "safety": safety}, separators=(",", ":")).encode()

    def _restore(self, checkpoint: bytes) -> None:
        document = json.loads(checkpoint)
        for device, channel, quantity, carried, rows in document["series"]:
            windows = SeriesWindows(carried=Held(*carried) if carried else None)
            for start_ms, length_s, readings, slots in rows:
                held = {slot: Held(event_ms, ticks) for slot, event_ms, ticks in slots}
                windows.open[start_ms] = Window(start_ms, length_s, held, readings)
            self.series[device, channel, quantity] = windows
        for device, channel, quantity, event_ms, ticks in document["safety"]:
            self.safety[device, channel, quantity] = Held(event_ms, ticks)


def stamp_of_event(event_ms: int, told: Held | None) -> int:
    """The second an event is stamped with: its own, or the first after the event told before it."""
    second = event_ms - event_ms % 1000
    return second if told is None else max(second, told.event_ms + 1000)


def _window_row(window: Window) -> list[object]:
    slots = [[slot, *held] for slot, held in window.slots.items()]
    return [window.start_ms, window.length_s, window.readings, slots]
