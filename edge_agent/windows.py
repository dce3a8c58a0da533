"""Open windows: readings put into cadence slots, and what a window was once it is over. Pure integers.

A window is cut into slots as long as the device's cadence. A slot holds the last value measured in it; an empty
slot takes over the last value before it, for as long as the device may be silent. So a device that reports on
change counts no more than one that reports by the clock, and the number of arrivals never shows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_agent.slots import Held, Slots
from telemetry import Quantity, Summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often a device reports, and for how long its last value still stands."""

    every_ms: int
    stale_after_ms: int

    def slot(self, event_ms: int, start_ms: int) -> int:
        """Which slot of the window that starts then."""
        return (event_ms - start_ms) // self.every_ms


@dataclass(slots=True)
class Window:
    """Readings of one series over [start, start + length)."""

    start_ms: int
    length_s: int
    slots: Slots = field(default_factory=Slots)
    readings: int = 0

    @property
    def end_ms(self) -> int:
        """The first millisecond after it."""
        return self.start_ms + self.length_s * 1000

    def put(self, event_ms: int, ticks: int, cadence: Cadence) -> None:
        """Put a value into its slot."""
        since_ms = event_ms - self.start_ms
        self.slots.put(event_ms, ticks, event_ms - since_ms % cadence.every_ms, cadence.every_ms)

    def row(self) -> list[object]:
        """As a checkpoint keeps it."""
        return [self.start_ms, self.length_s, self.readings, self.slots.numbers()]

    @classmethod
    def restore(cls, row: Sequence[Any], cadence: Cadence) -> Window:
        """From such a row; the cadence may be another now."""
        start_ms, length_s, readings, numbers = row
        window, values = cls(start_ms, length_s, readings=readings), iter(numbers)
        for event_ms, ticks in zip(values, values, strict=True):
            window.put(event_ms, ticks, cadence)
        return window

    def expected(self, cadence: Cadence) -> int:
        """How many slots the window has."""
        return -(-self.length_s * 1000 // cadence.every_ms)

    def filled(self, carried: Held | None, cadence: Cadence) -> Iterator[Held]:
        """The value that stood in each slot, in order; slots in which none stood are left out."""
        values = iter(self.slots)
        coming = next(values, None)
        for slot_start in range(self.start_ms, self.end_ms, cadence.every_ms):
            measured = False
            while coming is not None and coming.event_ms < slot_start + cadence.every_ms:
                carried, coming, measured = coming, next(values, None), True
            if carried is not None and (measured or 0 <= slot_start - carried.event_ms <= cadence.stale_after_ms):
                yield carried

    def is_whole(self, carried: Held | None, cadence: Cadence) -> bool:
        """Whether a value stood in every slot."""
        expected = self.expected(cadence)
        return len(self.slots) == expected or sum(1 for _ in self.filled(carried, cadence)) == expected

    def last(self) -> Held | None:
        """The value measured last."""
        return self.slots.last()


@dataclass(slots=True)
class SeriesWindows:
    """The open windows of one series, and the last value before them."""

    open: dict[tuple[int, int], Window] = field(default_factory=dict)
    """By start and length: where a rule changed, windows of both lengths may be open."""
    carried: Held | None = None

    def add(self, place: tuple[int, int], event_ms: int, ticks: int, readings: int, cadence: Cadence) -> None:
        """Count readings of one slot of the window with this start and length, and put the last of them there."""
        window = self.open.get(place)
        if window is None:
            window = self.open[place] = Window(*place)
        window.put(event_ms, ticks, cadence)
        window.readings += readings

    def over(self, horizon_ms: int) -> list[Window]:
        """The windows that end at or before the horizon, oldest first; they stay open."""
        return sorted((w for w in self.open.values() if w.end_ms <= horizon_ms), key=lambda w: w.start_ms)

    def close(self, window: Window) -> None:
        """Drop a window that is over; its last value is carried into the next."""
        del self.open[window.start_ms, window.length_s]
        last = window.last()
        if last is not None and (self.carried is None or last.event_ms >= self.carried.event_ms):
            self.carried = last


def aggregate(quantity: Quantity, window: Window, carried: Held | None, cadence: Cadence) -> dict[str, int]:
    """Every field that a window of this kind of quantity can have, unrounded by any privacy rule."""
    values = [held.ticks for held in window.filled(carried, cadence)]
    fields = {"n": len(values), "expected": window.expected(cadence)}
    kind = quantity.summarise
    if kind is Summarise.MEAN:
        fields |= {"mean": rounded(sum(values), len(values)), "min": min(values), "max": max(values)}
    elif kind is Summarise.COUNTER:
        fields["delta"] = _increase(window, carried)
    elif kind is Summarise.FLAG:
        fields["on_permille"] = rounded(1000 * sum(map(bool, values)), len(values))
    elif kind is Summarise.STATE:
        fields |= {"last": values[-1], "max": max(values)}
        if "on" in quantity.states:
            on = quantity.states.index("on")
            fields["on_permille"] = rounded(1000 * values.count(on), len(values))
    return fields


def rounded(total: int, count: int) -> int:
    """total / count to the nearest integer, halves upwards."""
    return (2 * total + count) // (2 * count)


def _increase(window: Window, carried: Held | None) -> int:
    """How much a counter rose; one that fell was reset, and counts from zero again.

    The value carried in bridges a silence of at most the window's own length: a longer one is a gap, and what was
    counted in it belongs to no window.
    """
    readings = list(window.slots)
    if carried is not None and window.start_ms - carried.event_ms <= window.length_s * 1000:
        readings.insert(0, carried)
    pairs = itertools.pairwise(readings)
    return sum(after.ticks - before.ticks if after.ticks >= before.ticks else after.ticks for before, after in pairs)
