"""What a page needs of now and of the last day, kept up as batches are projected, so that it costs no query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloud_sink.episodes import Episodes
from cloud_sink.freshness import Judge, believed_until
from cloud_sink.hearing import Hearing
from cloud_sink.latest import LatestValues
from cloud_sink.quality import Sensors
from cloud_sink.retention import is_ahead
from cloud_sink.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.hours import HoursOfSchools
    from cloud_sink.store import Projected
    from telemetry import Summary
    from telemetry.policy import Policy


@dataclass(frozen=True, slots=True)
class Memory:
    """Last values, runs of bad air, tallies of the day, sensors, timetable hours, and when agents were heard."""

    policy: Policy
    hours: HoursOfSchools

    latest: LatestValues = field(default_factory=LatestValues)
    episodes: Episodes = field(default_factory=Episodes)
    tallies: Tallies = field(default_factory=Tallies)
    sensors: Sensors = field(default_factory=Sensors)
    hearing: Hearing = field(default_factory=Hearing)
    copies: dict[str, int] = field(default_factory=dict)
    """When a copy of an agent's database was last noticed at work, by agent."""

    def take(self, batches: Sequence[Projected], now_ms: int) -> list[Summary]:
        """Take what batches say; returns the summaries that are the last of their series now."""
        for batch in batches:
            if batch.report is not None:
                self.latest.reports[batch.agent] = batch.report
                self.hours.of_agent(batch.agent).take(batch.report, now_ms)
        until_ms = believed_until(now_ms)
        summaries = [summary for batch in batches for summary in batch.summaries if summary.end_ms <= until_ms]
        self.episodes.take(summaries)
        self.tallies.take(summaries)
        self.sensors.take(summaries)
        return self.latest.take(summaries)

    def told_ms(self, now_ms: int) -> int | None:
        """The latest moment that any agent told of which can be believed by this time; None when none did."""
        return self.latest.told_ms(believed_until(now_ms))

    def is_clock_ahead(self, now_ms: int) -> bool:
        """Whether the centre's clock cannot be believed where something would be deleted by it."""
        return is_ahead(now_ms, self.told_ms(now_ms))

    def judge(self, school: str, now_ms: int) -> Judge:
        """Who says of a school's numbers what they are worth at a moment."""
        return Judge(now_ms, self.hours.of(school), self.policy)
