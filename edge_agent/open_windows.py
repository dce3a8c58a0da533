"""Every open window of an agent: runs go in as they come, series come out when somebody looks.

A device's runs that share their windows and the slot in each are kept together until one of another slot comes: of a
slot only its last value and the number of its readings count. So a device that reports more often than its slots change
costs the agent one look a run, and not one for each of its series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from edge_agent.windows import SeriesWindows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_agent.transactions import Columns, Run
    from edge_agent.windows import Cadence

SeriesKey: TypeAlias = tuple[str, str, str]
"""One channel of one quantity of one device, in a reading's order: device, channel, quantity."""
MOST_KNOWN: Final = 10_000
"""Runs' columns of which the series are remembered together."""
NEVER_MS: Final = 1 << 62


@dataclass(slots=True)
class _Recent:
    """The runs of one device that came last, as one."""

    columns: Columns
    windows: Sequence[tuple[int, int]]
    cadence: Cadence
    rows: int
    event_ms: int
    ticks: Sequence[int]


class OpenWindows:
    """The windows of every series, and the last value before them."""

    def __init__(self) -> None:
        self.first_end_ms = NEVER_MS
        """No window ends before this."""
        self._series: dict[SeriesKey, SeriesWindows] = {}
        self._recent: dict[str, _Recent] = {}
        self._known: dict[tuple[str, Columns], list[SeriesWindows]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpenWindows) and self.series == other.series

    __hash__ = None  # type: ignore[assignment] # it changes

    @property
    def series(self) -> dict[SeriesKey, SeriesWindows]:
        """Every series with all that came."""
        for device, recent in self._recent.items():
            self._settle(device, recent)
        self._recent.clear()
        return self._series

    def readings(self) -> int:
        """Readings in windows that are not over."""
        return sum(window.readings for windows in self.series.values() for window in windows.open.values())

    def put(self, run: Run, cadence: Cadence) -> None:
        """Take a run's readings in. Its windows are the same object as those of the run before where both are of one
        cell of a lane (`edge_agent.lanes.Cell`), and share their slots then too."""
        device, columns, rows, event_ms, ticks, windows = run
        recent = self._recent.get(device)
        if recent is not None:
            if recent.windows is windows and recent.columns is columns:
                recent.rows += rows
                if event_ms >= recent.event_ms:
                    recent.event_ms, recent.ticks = event_ms, ticks
                return
            self._settle(device, recent)
        self._recent[device] = _Recent(columns, windows, cadence, rows, event_ms, ticks)
        self.first_end_ms = min(self.first_end_ms, *[start_ms + length_s * 1000 for start_ms, length_s in windows])

    def restore(self, key: SeriesKey, windows: SeriesWindows) -> None:
        """A series as a checkpoint kept it."""
        self._series[key] = windows
        self.first_end_ms = min([self.first_end_ms, *(window.end_ms for window in windows.open.values())])

    def closed(self) -> None:
        """Windows were dropped: look when the next is over."""
        ends_ms = (window.end_ms for each in self.series.values() for window in each.open.values())
        self.first_end_ms = min(ends_ms, default=NEVER_MS)

    def drop(self, keys: Collection[SeriesKey]) -> None:
        """Forget these series, with all that is open of them."""
        for key in keys:
            self.series.pop(key, None)
        self._known.clear()

    def _settle(self, device: str, recent: _Recent) -> None:
        columns, event_ms = recent.columns, recent.event_ms
        for series, ticks, place in zip(self._of(device, columns), recent.ticks, recent.windows, strict=True):
            series.add(place, event_ms, ticks, recent.rows, recent.cadence)

    def _of(self, device: str, columns: Columns) -> list[SeriesWindows]:
        """The windows of a run's series, looked up once."""
        found = self._known.get((device, columns))
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            keys = [(device, channel, quantity) for channel, quantity in columns]
            found = self._known[device, columns] = [self._series.setdefault(key, SeriesWindows()) for key in keys]
        return found
