"""The last window of every series and the last report of every agent, in memory, so that a page costs no query."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry import Summary
    from telemetry.uplink_contract import AgentReport

Key = tuple[str, str, str, str]
"""Room, device, quantity, channel."""


class LatestValues:
    """By school, the window that ends last of each device, quantity and channel."""

    def __init__(self) -> None:
        self._schools: dict[str, dict[Key, Summary]] = {}
        self.reports: dict[str, AgentReport] = {}

    def take(self, summaries: Iterable[Summary]) -> list[Summary]:
        """Keep those that are newer than what is there; return them."""
        return [summary for summary in summaries if self._take(summary)]

    def of_school(self, school: str) -> list[Summary]:
        """The last windows of one school."""
        return list(self._schools.get(school, {}).values())

    def of_room(self, school: str, room: str) -> list[Summary]:
        """The last windows of one room."""
        return [summary for summary in self._schools.get(school, {}).values() if summary.series.room == room]

    def _take(self, summary: Summary) -> bool:
        series = summary.series
        school = self._schools.setdefault(series.school, {})
        key = (series.room, series.device, series.quantity, series.channel)
        held = school.get(key)
        if held is not None and _age_key(held) > _age_key(summary):
            return False
        school[key] = summary
        return True


def _age_key(summary: Summary) -> tuple[int, int, int]:
    return summary.end_ms, summary.start_ms, summary.series.revision
