"""What a page needs of now and of the last day, kept up as batches are projected, so that it costs no query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloud_sink.episodes import Episodes
from cloud_sink.hearing import Hearing
from cloud_sink.latest import LatestValues
from cloud_sink.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.store import Projected
    from telemetry import Summary


@dataclass(frozen=True, slots=True)
class Memory:
    """Last values, runs of bad air, tallies of the day, and when agents were heard."""

    latest: LatestValues = field(default_factory=LatestValues)
    episodes: Episodes = field(default_factory=Episodes)
    tallies: Tallies = field(default_factory=Tallies)
    hearing: Hearing = field(default_factory=Hearing)

    def take(self, batches: Sequence[Projected]) -> list[Summary]:
        """Take what batches say; returns the summaries that are the last of their series now."""
        self.latest.reports.update({batch.agent: batch.report for batch in batches if batch.report is not None})
        summaries = [summary for batch in batches for summary in batch.summaries]
        self.episodes.take(summaries)
        self.tallies.take(summaries)
        return self.latest.take(summaries)
