"""How many rooms were fresh and how many had bad air, in each quarter hour of the last day, kept up as data comes.

A set of rooms is an integer with a bit for each: a district of 6,000 rooms costs 750 bytes a set. What comes late
fills the quarter hours it belongs to, so an outage that is over leaves no trace but what is really missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import FRESH_WINDOWS, GRACE_MS
from cloud_sink.latest import MAIN
from telemetry.air import AIR_ACT_PPM, AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry import Summary

STEP_MS: Final = 15 * 60 * 1000
_KEPT_STEPS: Final = 26 * 4

Window = tuple[str, str, int, int, bool]
"""School, room, start in milliseconds, length in seconds, whether its CO2 asks for air."""


class Tallies:
    """Per quarter hour since 1970: the rooms whose data were fresh then, and those that needed air."""

    def __init__(self) -> None:
        self._bits: dict[tuple[str, str], int] = {}
        self._fresh: dict[int, int] = {}
        self._bad: dict[int, int] = {}
        self._newest = 0

    def take(self, summaries: Iterable[Summary]) -> None:
        """Count windows of main quantities."""
        self.count(
            {
                (
                    summary.series.school,
                    summary.series.room,
                    summary.start_ms,
                    summary.series.window_s,
                    summary.series.quantity == AIR_QUANTITY and summary.fields.get("mean", 0) > AIR_ACT_PPM,
                )
                for summary in summaries
                if summary.series.quantity in MAIN
            }
        )

    def count(self, windows: Iterable[Window]) -> None:
        """Count each window once in every quarter hour it is fresh in, or is bad in."""
        for school, room, start_ms, window_s, is_bad in windows:
            bit = self._bits.setdefault((school, room), 1 << len(self._bits))
            first, end_ms = start_ms // STEP_MS, start_ms + window_s * 1000
            last = -(-end_ms // STEP_MS)
            until = (end_ms + FRESH_WINDOWS * window_s * 1000 + GRACE_MS) // STEP_MS
            self._newest = max(self._newest, last)
            oldest = self._newest - _KEPT_STEPS
            _mark(self._fresh, bit, max(first, oldest), until)
            if is_bad:
                _mark(self._bad, bit, max(first, oldest), last)
        self._forget()

    def history(self, from_ms: int, now_ms: int) -> tuple[list[int], list[int]]:
        """Rooms fresh and rooms with bad air in each full quarter hour of [from, now) that windows have reached."""
        steps = range(from_ms // STEP_MS, min(now_ms // STEP_MS, self._newest))
        return (
            [self._fresh.get(step, 0).bit_count() for step in steps],
            [self._bad.get(step, 0).bit_count() for step in steps],
        )

    def _forget(self) -> None:
        for counted in (self._fresh, self._bad):
            for step in [step for step in counted if step < self._newest - _KEPT_STEPS]:
                del counted[step]


def _mark(counted: dict[int, int], bit: int, first: int, end: int) -> None:
    for step in range(first, end):
        counted[step] = counted.get(step, 0) | bit
