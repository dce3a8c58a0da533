"""How much a number is still worth: its age, measured in its own windows; and what the air needs.

A number is fresh until 2 windows and 15 minutes after its own window's end, late until 10 windows and 15 minutes,
then stale. The 15 minutes are what a healthy agent may take to tell: it waits for late readings (2 minutes) and for
its next batch (1 minute), and tries again when the line is bad; without them a one-minute window never were fresh.

Of what the policy tells in timetable hours alone, only the windows count that lie in them: what lacks none of these
is quiet once it is old.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from cloud_sink.retention import told_class
from telemetry import quantity
from telemetry.air import AIR_ACT_PPM, AIR_WATCH_PPM
from telemetry.policy import RoomTable
from telemetry.spans import DAY_S, Span

if TYPE_CHECKING:
    from cloud_sink.hours import Hours
    from telemetry import Summary
    from telemetry.policy import Policy

FRESH_WINDOWS: Final = 2
LATE_WINDOWS: Final = 10
GRACE_MS: Final = 15 * 60 * 1000


class Freshness(enum.StrEnum):
    """The state of a number, from good to none at all."""

    FRESH = "fresh"
    QUIET = "quiet"
    """It is the last of what there is to tell: since then, rooms were outside timetable hours."""
    LATE = "late"
    STALE = "stale"
    NEVER = "never"


class Air(enum.StrEnum):
    """What the CO2 of a room says, from calm to act; unknown when it is old, none where nothing measures it."""

    NONE = "none"
    GOOD = "good"
    WATCH = "watch"
    ACT = "act"
    QUIET = "quiet"
    """Nothing is told of it outside timetable hours."""
    UNKNOWN = "unknown"


def believed_until(now_ms: int) -> int:
    """The moment behind which no window can end yet: one that does is of a clock that is wrong, and is not shown before
    its time."""
    return now_ms + GRACE_MS


def fresh_until(summary: Summary) -> int:
    """The first moment at which a window is not fresh any more."""
    return summary.end_ms + FRESH_WINDOWS * summary.series.window_s * 1000 + GRACE_MS


def aged(now_ms: int, fresh_until_ms: int, late_until_ms: int) -> Freshness:
    """The state of what is fresh, then late, up to two moments."""
    if now_ms < fresh_until_ms:
        return Freshness.FRESH
    return Freshness.LATE if now_ms < late_until_ms else Freshness.STALE


class Judge:
    """Judges the numbers of one school at one moment."""

    def __init__(self, now_ms: int, hours: Hours, policy: Policy) -> None:
        self.now_ms = now_ms
        self.hours = hours
        self._policy = policy
        self._spans: dict[tuple[str, int], Span | None] = {}
        self._states: dict[tuple[int, Span], Freshness] = {}

    def freshness(self, summary: Summary | None) -> Freshness:
        """The state of a window that is told; never when there is none."""
        if summary is None:
            return Freshness.NEVER
        late_until = summary.end_ms + LATE_WINDOWS * summary.series.window_s * 1000 + GRACE_MS
        state = aged(self.now_ms, fresh_until(summary), late_until)
        span = None if state is Freshness.FRESH else self.span_in_hours(summary)
        if span is None:
            return state
        key = summary.end_ms, span
        if key not in self._states:
            self._states[key] = self._in_hours(*key)
        return self._states[key]

    def air(self, co2: Summary | None) -> Air:
        """What a room's CO2 asks for; unknown when it is not fresh or late."""
        if co2 is None:
            return Air.NONE
        state = self.freshness(co2)
        if state is Freshness.QUIET:
            return Air.QUIET
        if "mean" not in co2.fields or state is Freshness.STALE:
            return Air.UNKNOWN
        if co2.fields["mean"] > AIR_ACT_PPM:
            return Air.ACT
        return Air.WATCH if co2.fields["mean"] > AIR_WATCH_PPM else Air.GOOD

    def span_in_hours(self, summary: Summary) -> Span | None:
        """How the windows of what is told in timetable hours alone are cut; None where it is told at all times, or the
        hours are not known."""
        if not self.hours.is_known:
            return None
        key = summary.series.quantity, summary.series.window_s
        if key not in self._spans:
            self._spans[key] = span_in_hours(self._policy, *key)
        return self._spans[key]

    def _in_hours(self, end_ms: int, span: Span) -> Freshness:
        missed = self.hours.missed(end_ms, self.now_ms - GRACE_MS, span, LATE_WINDOWS)
        if missed >= FRESH_WINDOWS:
            return Freshness.LATE if missed < LATE_WINDOWS else Freshness.STALE
        return Freshness.QUIET if self.hours.was_outside(end_ms, self.now_ms) else Freshness.FRESH


def span_in_hours(policy: Policy, quantity_id: str, window_s: int) -> Span | None:
    """As `Judge.span_in_hours`, by the policy alone.

    A summary does not say where it was measured. What is told outdoors by the minute is no room's; what a policy tells
    outdoors more slowly counts as a room's.
    """
    table = policy.table(told_class(quantity(quantity_id), window_s))
    if not isinstance(table, RoomTable) or window_s >= DAY_S or table.outside_hours == "all":
        return None
    if quantity_id in table.outside_hours:
        return None
    return Span.HOUR if quantity_id in table.hourly else table.window
