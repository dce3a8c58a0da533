"""Lanes: what is asked of every row of one layout of one device, worked out once.

Which columns are declared, what range each may have, which leave in a summary, at once, or never; and, for a moment,
in which windows and slots the row's values belong.
"""

from __future__ import annotations

import zlib
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from device_drivers.channels import is_channel
from edge_agent.counts import CountKey
from telemetry.quantities import row_to_ticks

if TYPE_CHECKING:
    from device_drivers.contract import Layout
    from edge_agent.admission import Binding
    from edge_agent.privacy.rules import Rule
    from edge_agent.timetable import CompiledTimetable
    from telemetry.spans import Span


_NOTHING: Final = (inf, -inf)
"""The bounds of what is not declared: no value is within."""


class Column(NamedTuple):
    """One of a lane's columns, and its place in a row."""

    place: int
    channel: str
    rule: Rule


class Cell(NamedTuple):
    """The time in which every window of a lane, and the slot in each, stay the same."""

    start_ms: int
    end_ms: int
    windows: tuple[tuple[int, int], ...]
    """Start in milliseconds and length in seconds of the window of each of the lane's `summarised` columns."""


class Lane:
    """The rows of one layout of one device."""

    __slots__ = (
        "_bounds",
        "_last",
        "_scales",
        "admitted",
        "apart",
        "binding",
        "columns",
        "counted",
        "events",
        "layout",
        "mark",
        "received",
        "summarised",
        "width",
        "withheld",
    )

    def __init__(self, binding: Binding, layout: Layout) -> None:
        self.binding = binding
        self.layout = layout
        self.width = len(layout.columns)
        self.received = CountKey("received", binding.device)
        self.admitted = CountKey("admitted", binding.device)
        """The counters that each of its rows raises, made once."""
        self.mark = zlib.crc32(repr((binding.device, layout.columns)).encode())
        """Tells this lane's rows from those of others."""
        rules = [binding.rules.get(quantity) for quantity, _ in layout.columns]
        self._bounds = tuple(
            (rule.quantity.minimum, rule.quantity.maximum)
            if rule is not None and is_channel(channel, binding.channels)
            else _NOTHING
            for rule, (_, channel) in zip(rules, layout.columns, strict=True)
        )
        self.summarised: list[Column] = []
        self.events: list[Column] = []
        self.counted: list[Column] = []
        """Of those that never leave by themselves, the ones that people counts are made of."""
        self.withheld: dict[str, int] = {}
        """How many columns never leave, by their privacy class."""
        for index, ((_, channel), rule) in enumerate(zip(layout.columns, rules, strict=True)):
            if rule is None:
                continue
            if rule.is_withheld:
                name = str(rule.privacy_class)
                self.withheld[name] = self.withheld.get(name, 0) + 1
                if rule.is_counted:
                    self.counted.append(Column(index, channel, rule))
            else:
                (self.events if rule.is_event else self.summarised).append(Column(index, channel, rule))
        self.apart = bool(self.events or self.counted)
        """Whether a row has values for which its run is not enough."""
        self.columns = tuple((channel, rule.quantity.id) for _, channel, rule in self.summarised)
        """Channel and quantity of each of `summarised`."""
        self._scales = [(place, rule.quantity.ticks_per_unit) for place, _, rule in self.summarised]
        self._last: tuple[CompiledTimetable | None, Cell] = None, Cell(0, 0, ())

    def takes(self, values: tuple[float, ...]) -> bool:
        """Whether every column is declared and every value such as its sensor could measure; false for NaN."""
        for value, (lowest, highest) in zip(values, self._bounds, strict=True):  # noqa: SIM110 - a generator takes twice as long
            if not lowest <= value <= highest:
                return False
        return True

    def cell(self, event_ms: int, timetable: CompiledTimetable) -> Cell:
        """Where values measured at this moment belong, and for how long that holds."""
        found_by, cell = self._last
        if found_by is not timetable or not cell.start_ms <= event_ms < cell.end_ms:
            cell = self._find(event_ms, timetable)
            self._last = timetable, cell
        return cell

    def ticks(self, values: tuple[float, ...]) -> list[int]:
        """The values of `summarised`, in ticks of their quantities."""
        return row_to_ticks(values, self._scales)

    def _find(self, event_ms: int, timetable: CompiledTimetable) -> Cell:
        cadence = self.binding.cadence
        start_ms, end_ms = 0, 1 << 62
        found: dict[Span, tuple[int, int]] = {}
        for _, _, rule in self.summarised:
            if rule.span in found:
                continue
            window_ms, length_s = found[rule.span] = rule.window_at(event_ms, timetable)
            slot_ms = window_ms + cadence.slot(event_ms, window_ms) * cadence.every_ms
            start_ms = max(start_ms, slot_ms)
            end_ms = min(end_ms, slot_ms + cadence.every_ms, window_ms + length_s * 1000)
        return Cell(start_ms, end_ms, tuple(found[rule.span] for _, _, rule in self.summarised))
