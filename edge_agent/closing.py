"""Closing windows: what each was, what of that may leave, and the line that will carry it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.counts import Tally
from edge_agent.transactions import NewSummary
from edge_agent.windows import aggregate
from telemetry import Series, Summary, encode_fields, encode_series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.admission import Binding
    from edge_agent.open_windows import SeriesKey
    from edge_agent.privacy.rules import Rule
    from edge_agent.state import State
    from edge_agent.windows import Window


@dataclass(slots=True)
class Closing:
    """The outcome of closing every window that ends at or before a horizon."""

    horizon_ms: int
    summaries: list[NewSummary] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    windows: list[tuple[SeriesKey, Window]] = field(default_factory=list)
    """In the order in which they are dropped once the transaction is on disk."""


def close_windows(state: State, bindings: Mapping[str, Binding], school: str, horizon_ms: int) -> Closing:
    """Summarise the windows that are over. Changes nothing: the state follows when the commit is done."""
    closing = Closing(horizon_ms)
    if horizon_ms < state.windows.first_end_ms:
        return closing
    for key, windows in state.windows.series.items():
        carried = windows.carried
        for window in windows.over(horizon_ms):
            device, _, quantity = key
            binding = bindings.get(device)
            before, carried = carried, max(filter(None, (carried, window.last())), default=None)
            closing.windows.append((key, window))
            if binding is None or quantity not in binding.rules:
                closing.tally.add("withheld", window.readings, device=device, reason="device_removed")
                continue
            if window.end_ms <= state.told_elsewhere_ms:
                closing.tally.add("withheld", window.readings, device=device, reason="told_elsewhere")
                continue
            rule = binding.rules[quantity]
            if not is_window_of(rule, window, state):
                closing.tally.add("withheld", window.readings, device=device, reason="rule_changed")
                continue
            if rule.in_hours_only and not state.timetable.touches(window.start_ms):
                closing.tally.add("withheld", window.readings, device=device, reason="outside_hours")
                continue
            fields = rule.told(aggregate(rule.quantity, window, before, binding.cadence))
            told = Told(window, fields, state.revision_of(window.end_ms))
            closing.summaries.append(summary_line(key, binding, school, told))
            closing.tally.add("summarised", window.readings, device=device)
    closing.tally.add("summaries", len(closing.summaries))
    return closing


def is_window_of(rule: Rule, window: Window, state: State) -> bool:
    """Whether today's rule would have opened this window: a configuration may have become stricter meanwhile."""
    if rule.is_withheld or rule.is_event:
        return False
    return rule.window_at(window.start_ms, state.timetable) == (window.start_ms, window.length_s)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a window, and as which revision."""

    window: Window
    fields: Mapping[str, int]
    revision: int


def summary_line(key: SeriesKey, binding: Binding, school: str, told: Told) -> NewSummary:
    """One summary as the outbox keeps it."""
    device, channel, quantity = key
    series = Series(
        quantity=quantity,
        school=school,
        building=binding.building,
        room=binding.room,
        device=device,
        window_s=told.window.length_s,
        channel=channel,
        revision=told.revision,
    )
    summary = Summary(series, told.window.start_ms, told.fields)
    return NewSummary(encode_series(series), summary.start_ms, encode_fields(summary))
