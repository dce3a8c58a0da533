"""What comes after its window was told, until the night tells it as a revision: late readings, and what they change.

A window in which every slot stood when it was told lacks nothing: what comes later for it is left out. Of one that
lacked slots, the values are kept for 72 hours, and of each series the last few; one of which no reading had come was
never told. Of a counter the window after a silence is kept as well: it was told with the increase that belongs to those
before it, as soon as they are known.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from edge_agent.slots import Held
from edge_agent.windows import Window
from telemetry import Summarise, quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_agent.open_windows import SeriesKey
    from edge_agent.transactions import Run
    from edge_agent.windows import Cadence

KEPT_MS: Final = 72 * 3_600_000
MOST_KEPT: Final = 12
"""Of one series, windows that lacked slots."""
MOST_LATE: Final = 20_000
"""Windows of all series for which something came late in one day."""

_COUNTERS: Final = frozenset(entry.id for entry in quantities() if entry.summarise is Summarise.COUNTER)

Place: TypeAlias = tuple[int, int]
"""Start in milliseconds and length in seconds of a window."""


@dataclass(slots=True)
class LateSeries:
    """What of one series was told, and what came after that."""

    is_counter: bool = False
    over: list[list[int]] = field(default_factory=list)
    """The spans of windows that are over, with readings or withheld: in order, apart, of the last 72 hours."""
    lacking: dict[Place, tuple[Held | None, Window]] = field(default_factory=dict)
    """Windows among them that lacked slots, each with the value carried into it."""
    late: dict[Place, Window] = field(default_factory=dict)
    """What has come for windows that are over."""

    def note(self, window: Window, carried: Held | None, cadence: Cadence) -> None:
        """A window is over."""
        self._cover(window.start_ms, window.end_ms)
        if not window.is_whole(carried, cadence) or (self.is_counter and _follows_silence(window, carried, cadence)):
            self.lacking[window.start_ms, window.length_s] = carried, window
            while len(self.lacking) > MOST_KEPT or _end(min(self.lacking)) <= window.end_ms - KEPT_MS:
                del self.lacking[min(self.lacking)]
        self.over = [span for span in self.over if span[1] > window.end_ms - KEPT_MS]

    def changed(self) -> list[Place]:
        """The windows that what came late changes, in order: of a counter the next one that is kept, too."""
        found = set(self.late)
        if self.is_counter:
            kept = sorted(self.lacking)
            found |= {kept[at] for at in (bisect_right(kept, place) for place in self.late) if at < len(kept)}
        return sorted(found)

    def before(self, start_ms: int) -> Held | None:
        """The last value known from before that moment, of what came in time."""
        known = [held for carried, window in self.lacking.values() for held in (carried, window.last()) if held]
        return max((held for held in known if held.event_ms < start_ms), default=None)

    def revise(self) -> None:
        """What came late was told: of these windows nothing is told again."""
        for place in self.changed():
            self.lacking.pop(place, None)
            self._cover(place[0], _end(place))
        self.late.clear()

    def takes(self, place: Place) -> bool:
        """Whether something that comes late for this window would change what is known of it."""
        start_ms, end_ms = place[0], _end(place)
        return place in self.lacking or not any(begin < end_ms and start_ms < end for begin, end in self.over)

    def document(self, key: SeriesKey) -> list[object]:
        """As a checkpoint keeps it under its name."""
        lacking = [[carried, *window.row()] for carried, window in self.lacking.values()]
        return [*key, self.over, lacking, [window.row() for window in self.late.values()]]

    def _cover(self, start_ms: int, end_ms: int) -> None:
        if self.over and self.over[-1][0] <= start_ms <= self.over[-1][1]:
            self.over[-1][1] = max(self.over[-1][1], end_ms)
            return
        spans: list[list[int]] = []
        for begin, end in sorted([*self.over, [start_ms, end_ms]]):
            if spans and begin <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([begin, end])
        self.over = spans


class LateWindows:
    """Those of every series."""

    def __init__(self) -> None:
        self.revised_ms = 0
        """Up to when windows were over at the last revisions, as far as is remembered."""
        self._series: dict[SeriesKey, LateSeries] = {}
        self._written: dict[SeriesKey, msgspec.Raw] = {}
        """Series as a checkpoint has them, while they stay as they are: a window is over far less often than one is
        made."""
        self._floors: dict[str, int] = {}
        """Of devices that were moved or replaced, when: windows that begin before that are no more theirs."""
        self._late = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LateWindows) and (self._series, self._floors) == (other._series, other._floors)

    __hash__ = None  # type: ignore[assignment] # it changes

    def __len__(self) -> int:
        """For how many windows something came late."""
        return self._late

    def note(self, key: SeriesKey, window: Window, carried: Held | None, cadence: Cadence) -> None:
        """A window of a series is over; `carried` is the value before it."""
        self._of(key).note(window, carried, cadence)

    def takes(self, key: SeriesKey, place: Place, closed_until_ms: int) -> bool:
        """Whether a late reading of this window is kept for the night."""
        known = self._series.get(key)
        return (
            self._late < MOST_LATE
            and _end(place) > closed_until_ms - KEPT_MS
            and place[0] >= self._floors.get(key[0], 0)
            and (known is None or known.takes(place))
        )

    def put(self, run: Run, cadence: Cadence) -> None:
        """Keep a run of late readings, whose windows have negative lengths."""
        for (channel, name), ticks, (start_ms, length_s) in zip(run.columns, run.ticks, run.windows, strict=True):
            late, place = self._of((run.device, channel, name)).late, (start_ms, -length_s)
            if place not in late:
                late[place] = Window(*place)
                self._late += 1
            late[place].put(run.event_ms, ticks, cadence)
            late[place].readings += run.rows

    def each(self) -> Iterator[tuple[SeriesKey, LateSeries]]:
        """Every series of which something came late, by name."""
        return ((key, series) for key, series in sorted(self._series.items()) if series.late)

    def revise(self, closed_until_ms: int) -> None:
        """All that came late was told, or is left out for good."""
        for series in self._series.values():
            series.revise()
        self._written.clear()
        self._late, self.revised_ms = 0, closed_until_ms

    def refit(self, moments: Mapping[str, int]) -> None:
        """Devices were moved or replaced, each at its moment: nothing from before is told of them any more."""
        self._floors |= moments
        self._series = {key: series for key, series in self._series.items() if key[0] not in moments}
        self._late = sum(len(series.late) for series in self._series.values())

    def document(self, refitted: Mapping[str, int]) -> dict[str, object]:
        """As a checkpoint keeps it, as after `refit`."""
        for key in self._series.keys() - self._written.keys():
            self._written[key] = msgspec.Raw(msgspec.json.encode(self._series[key].document(key)))
        series = [self._written[key] for key in self._series if key[0] not in refitted]
        return {"floors": self._floors | dict(refitted), "series": series}

    @classmethod
    def restore(cls, document: dict[str, Any], cadence_of: Callable[[str], Cadence]) -> LateWindows:
        """From a checkpoint."""
        found = cls()
        found._floors = document.get("floors", {})
        for device, channel, name, over, lacking, late in document.get("series", ()):
            series, cadence = found._of((device, channel, name)), cadence_of(device)
            series.over = over
            for carried, *row in lacking:
                window = Window.restore(row, cadence)
                series.lacking[window.start_ms, window.length_s] = Held(*carried) if carried else None, window
            for row in late:
                window = Window.restore(row, cadence)
                series.late[window.start_ms, window.length_s] = window
            found._late += len(late)
        return found

    def _of(self, key: SeriesKey) -> LateSeries:
        """A series that is about to change."""
        self._written.pop(key, None)
        known = self._series.get(key)
        if known is None:
            known = self._series[key] = LateSeries(is_counter=key[2] in _COUNTERS)
        return known


def _end(place: Place) -> int:
    return place[0] + place[1] * 1000


def _follows_silence(window: Window, carried: Held | None, cadence: Cadence) -> bool:
    """Whether the slot before the window had no reading."""
    return carried is None or carried.event_ms < window.start_ms - cadence.every_ms
