"""Since when a level has been passed without a break: one answer now, for every room, and the runs of a day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from telemetry.air import AIR_ACT_PPM, AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry import Summary

KEPT_MS: Final = 24 * 3600 * 1000
_MANY: Final = 2 * KEPT_MS // 60_000
"""Twice as many windows as a day has: then those of earlier days are forgotten."""

Channel = tuple[str, str, str, str]
"""School, room, device, channel."""


@dataclass(slots=True)
class _Run:
    calm_ms: int = 0
    above: set[int] = field(default_factory=set)


class Episodes:
    """The run of bad windows each CO2 channel is in, in whatever order its windows come.

    Only the last calm window and the bad ones after it are held. A correction that makes a calm window bad is not
    taken up: the run then begins after it.
    """

    def __init__(self) -> None:
        self._runs: dict[Channel, _Run] = {}

    def take(self, summaries: Iterable[Summary]) -> None:
        """Note what windows of CO2 say."""
        for summary in summaries:
            series = summary.series
            if series.quantity == AIR_QUANTITY and "mean" in summary.fields:
                channel = (series.school, series.room, series.device, series.channel)
                self.note(channel, summary.start_ms, summary.fields["mean"])

    def note(self, channel: Channel, start_ms: int, mean: int) -> None:
        """Note one window of a channel."""
        run = self._runs.get(channel)
        if run is None:
            run = self._runs[channel] = _Run()
        if mean <= AIR_ACT_PPM:
            run.calm_ms = max(run.calm_ms, start_ms)
            run.above = {above for above in run.above if above > run.calm_ms}
        elif start_ms > run.calm_ms:
            run.above.add(start_ms)
            if len(run.above) >= _MANY:
                oldest_ms = max(run.above) - KEPT_MS
                run.above = {above for above in run.above if above > oldest_ms}

    def since(self, channel: Channel, now_ms: int) -> int | None:
        """When its run of bad windows began, within the last day; None when it is calm."""
        run = self._runs.get(channel)
        return min((above for above in run.above if above > now_ms - KEPT_MS), default=None) if run else None


@dataclass(frozen=True, slots=True)
class Episode:
    """A span in which a room's CO2 was above the level, and the most it reached."""

    room: str
    from_ms: int
    to_ms: int
    peak: int


def runs(windows: Iterable[Summary]) -> list[Episode]:
    """The spans of bad air in a day's windows of CO2, the longest first; windows that touch are one span."""
    found: dict[str, list[Episode]] = {}
    for summary in sorted(windows, key=lambda summary: (summary.series.room, summary.start_ms)):
        mean = summary.fields.get("mean", 0)
        if mean <= AIR_ACT_PPM:
            continue
        told = found.setdefault(summary.series.room, [])
        if told and summary.start_ms <= told[-1].to_ms:
            held = told.pop()
            span = held.from_ms, max(held.to_ms, summary.end_ms), max(held.peak, mean)
        else:
            span = summary.start_ms, summary.end_ms, mean
        told.append(Episode(summary.series.room, *span))
    return sorted((e for told in found.values() for e in told), key=lambda e: (e.from_ms - e.to_ms, e.room))
