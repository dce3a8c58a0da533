"""Readings of people, in memory alone, and what a slot's statistics are. Pure, exact integers and fractions.

A slot is one hour of universal time that lies wholly in timetable hours. Of a device the mean over its cadence slots,
in each the count that stood: which one that is must not depend on how often the device happened to speak, or one person
who makes it speak would count for more than one. Of a room, or the campus, the sum of those; of that, the whole part:
one person more moves a room's sum by at most 1, so that too. Rounding to even would not keep that.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.windows import Cadence, Window
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.admission import Binding
    from edge_agent.open_windows import SeriesKey
    from edge_agent.slots import Held
    from edge_agent.transactions import PeopleSlot

SLOT_S: Final = 3600
SLOT_MS: Final = SLOT_S * 1000
STANDS_MS: Final = 2 * SLOT_MS
"""For how long a count stands: a counter speaks at least once in an hour, and one message may be lost."""
CAMPUS_PLACE: Final = "all"
"""The building and the room of what is told of the whole campus."""
CAMPUS_DEVICE: Final = "campus"


class Statistic(NamedTuple):
    """What is told of people in one slot: a quantity of a place; in place of a device, the room or the campus."""

    quantity: str
    building: str
    room: str
    device: str


class OpenSlots:
    """Readings of people in slots that are not over."""

    def __init__(self, bindings: Mapping[str, Binding], *, by_room: bool) -> None:
        self._bindings = bindings
        self._by_room = by_room
        self._open: dict[int, dict[SeriesKey, Window]] = {}
        self._last: dict[SeriesKey, Held] = {}
        """Before the open slots, the last count of each device: it stands at the beginning of the next."""

    def put(self, people: Mapping[PeopleSlot, Held]) -> None:
        """Take in readings that are counted on disk."""
        for (key, start_ms, _), held in people.items():
            window = self._open.setdefault(start_ms, {}).setdefault(key, Window(start_ms, SLOT_S))
            window.put(*held, self._bindings[key[0]].cadence)

    def clear(self) -> None:
        """Forget all of them."""
        self._open.clear()
        self._last.clear()

    def drop(self, until_ms: int) -> None:
        """Forget those that start before then, but for the last count of each device."""
        for start_ms in sorted(self._open):
            if start_ms < until_ms:
                lasts = ((key, window.last()) for key, window in self._open[start_ms].items())
                self._last |= {key: held for key, held in lasts if held is not None}
        self._open = {start_ms: windows for start_ms, windows in self._open.items() if start_ms >= until_ms}

    def has(self, start_ms: int) -> bool:
        """Whether anything was read in the slot that starts then."""
        return start_ms in self._open

    def statistics(self, start_ms: int) -> dict[Statistic, int]:
        """The exact statistics of one slot, in the order of their names; none of a place in which nothing was read."""
        sums: dict[Statistic, Fraction] = {}
        rooms: dict[Statistic, set[str]] = {}
        for key, window in self._open.get(start_ms, {}).items():
            device, _, name = key
            binding = self._bindings[device]
            statistic = self._statistic(name, binding)
            sums[statistic] = sums.get(statistic, Fraction()) + _mean(window, self._last.get(key), binding.cadence)
            rooms.setdefault(statistic, set()).add(binding.room)
        return {each: _whole(sums[each], each.quantity, len(rooms[each])) for each in sorted(sums)}

    def _statistic(self, name: str, binding: Binding) -> Statistic:
        if self._by_room:
            return Statistic(name, binding.building, binding.room, binding.room)
        return Statistic(name, CAMPUS_PLACE, CAMPUS_PLACE, CAMPUS_DEVICE)


def _mean(window: Window, before: Held | None, cadence: Cadence) -> Fraction:
    """Over the cadence slots in which a count stood."""
    values = [held.ticks for held in window.filled(before, Cadence(cadence.every_ms, STANDS_MS))]
    return Fraction(sum(values), len(values))


def _whole(total: Fraction, name: str, rooms: int) -> int:
    """The whole part, as far as so many rooms can hold people at all."""
    return min(max(total.numerator // total.denominator, 0), int(quantity(name).maximum) * rooms)
