"""The last window of every series and the last report of every agent, in memory, so that a page costs no query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Freshness, fresh_until
from telemetry import Summarise, quantity
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from cloud_sink.freshness import Air, Judge
    from telemetry import Summary
    from telemetry.uplink_contract import AgentReport

MAIN: Final = (AIR_QUANTITY, "temperature", "humidity", "pm25", "pm10", "sound_pressure", "illuminance")
"""The quantities a room is judged and drawn by, in the order of the pages."""
_ORDER: Final = tuple(Freshness)

Key = tuple[str, str, str]
"""Device, quantity, channel."""


class RoomNow:
    """The last windows of one room, and until when they are fresh."""

    def __init__(self) -> None:
        self._series: dict[Key, Summary] = {}
        self._main: dict[str, Summary] | None = None
        self._alarms: list[Summary] = []
        self._fresh_until_ms = 0

    @property
    def windows(self) -> Collection[Summary]:
        """The window that ends last of each device, quantity and channel."""
        return self._series.values()

    @property
    def main(self) -> Mapping[str, Summary]:
        """Each main quantity's window: of several devices the one whose window ends last, then the highest."""
        if self._main is None:
            self._main = self._judge()
        return self._main

    @property
    def alarms(self) -> Sequence[Summary]:
        """Its safety events that no all-clear has ended."""
        return self._alarms

    def freshness(self, judge: Judge) -> Freshness:
        """The worst of its main quantities, or of the others where it has none of these.

        Of safety only where it tells nothing else: what is told when it changes is not due at any time.
        """
        if not self._series:
            return Freshness.NEVER
        judged = _judged(self.main, self._series.values())
        if judge.now_ms < self._fresh_until_ms:
            return Freshness.FRESH
        return max((judge.freshness(summary) for summary in judged), key=_ORDER.index)

    def air(self, judge: Judge) -> Air:
        """What its CO2 asks for."""
        return judge.air(self.main.get(AIR_QUANTITY))

    def take(self, summary: Summary) -> bool:
        """Keep a window that is not older than the one held; false when it is."""
        series = summary.series
        key = (series.device, series.quantity, series.channel)
        held = self._series.get(key)
        if held is not None and _age_key(held) > _age_key(summary):
            return False
        self._series[key] = summary
        self._main = None
        if _is_event(summary):
            self._alarms = [told for told in self._series.values() if _is_alarm(told)]
        return True

    def drop(self, device: str) -> None:
        """Hold nothing of a device any more."""
        self._series = {key: summary for key, summary in self._series.items() if summary.series.device != device}
        self._main = None
        self._alarms = [told for told in self._series.values() if _is_alarm(told)]

    def _judge(self) -> dict[str, Summary]:
        main = newest(self._series.values())
        self._fresh_until_ms = min(map(fresh_until, _judged(main, self._series.values())), default=0)
        return main


class LatestValues:
    """By school and room, the last windows; by agent, the last report.

    A device stands in the room that it told of last: of one that was moved, nothing is held where it was.
    """

    def __init__(self) -> None:
        self._schools: dict[str, dict[str, RoomNow]] = {}
        self._of_devices: dict[tuple[str, str], Summary] = {}
        self._told_ms: int | None = None
        self.reports: dict[str, AgentReport] = {}

    def told_ms(self, until_ms: int) -> int | None:
        """The latest moment up to one that any agent told of, by a window's end or by its own clock, if any did.

        An agent whose clock is further on says nothing of what time it is.
        """
        moments = [report.time_ms for report in self.reports.values() if 0 <= report.time_ms <= until_ms]
        return max(moments if self._told_ms is None else [self._told_ms, *moments], default=None)

    def take(self, summaries: Iterable[Summary]) -> list[Summary]:
        """Keep those that are newer than what is there; return them."""
        return [summary for summary in summaries if self._take(summary)]

    def rooms(self, school: str) -> Mapping[str, RoomNow]:
        """The rooms of a school that have told anything, by code."""
        return self._schools.get(school, {})

    def of_school(self, school: str) -> list[Summary]:
        """The last windows of one school."""
        return [summary for room in self.rooms(school).values() for summary in room.windows]

    def of_room(self, school: str, room: str) -> list[Summary]:
        """The last windows of one room."""
        held = self.rooms(school).get(room)
        return [] if held is None else list(held.windows)

    def of_device(self, school: str, device: str) -> Summary | None:
        """The window of a device that ends last, which says where it stands."""
        return self._of_devices.get((school, device))

    def _take(self, summary: Summary) -> bool:
        series = summary.series
        self._told_ms = max(summary.end_ms, self._told_ms or 0)
        rooms = self._schools.setdefault(series.school, {})
        device = series.school, series.device
        held = self._of_devices.get(device, summary)
        is_newest = summary.end_ms >= held.end_ms
        if is_newest:
            self._of_devices[device] = summary
        if held.series.room != series.room:
            if not is_newest:
                return False
            rooms[held.series.room].drop(series.device)
        room = rooms.get(series.room)
        if room is None:
            room = rooms[series.room] = RoomNow()
        return room.take(summary)


def newest(windows: Iterable[Summary]) -> dict[str, Summary]:
    """Of each main quantity the window that ends last, and of those the highest, in the pages' order."""
    told: dict[str, Summary] = {}
    for summary in windows:
        name = summary.series.quantity
        if name in MAIN and (name not in told or _rank(summary) > _rank(told[name])):
            told[name] = summary
    return {name: told[name] for name in MAIN if name in told}


def _judged(main: Mapping[str, Summary], windows: Collection[Summary]) -> Collection[Summary]:
    """The windows that say how fresh a room is."""
    return main.values() or [told for told in windows if not _is_event(told)] or windows


def _is_event(summary: Summary) -> bool:
    return quantity(summary.series.quantity).summarise is Summarise.EVENT


def _is_alarm(summary: Summary) -> bool:
    return _is_event(summary) and bool(summary.fields.get("last"))


def _rank(summary: Summary) -> tuple[int, int, str]:
    return summary.end_ms, summary.fields.get("mean", 0), summary.series.device


def _age_key(summary: Summary) -> tuple[int, int, int]:
    return summary.end_ms, summary.start_ms, summary.series.revision
