"""How much a number is still worth: its age, measured in its own windows; and what the air needs.

A number is fresh until 2 windows and 15 minutes after its own window's end, late until 10 windows and 15 minutes,
then stale. The 15 minutes are what a healthy agent may take to tell: it waits for late readings (2 minutes) and for
its next batch (1 minute), and tries again when the line is bad; without them a one-minute window never were fresh.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from telemetry.air import AIR_ACT_PPM, AIR_WATCH_PPM

if TYPE_CHECKING:
    from telemetry import Summary

FRESH_WINDOWS: Final = 2
LATE_WINDOWS: Final = 10
GRACE_MS: Final = 15 * 60 * 1000


class Freshness(enum.StrEnum):
    """The state of a number, from good to none at all."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    NEVER = "never"


class Air(enum.StrEnum):
    """What the CO2 of a room says, from calm to act; unknown when it is old, none where nothing measures it."""

    NONE = "none"
    GOOD = "good"
    WATCH = "watch"
    ACT = "act"
    UNKNOWN = "unknown"


def freshness(summary: Summary | None, now_ms: int) -> Freshness:
    """The state of a window that is told; never when there is none."""
    if summary is None:
        return Freshness.NEVER
    return aged(now_ms, fresh_until(summary), late_until(summary))


def fresh_until(summary: Summary) -> int:
    """The first moment at which a window is not fresh any more."""
    return summary.end_ms + FRESH_WINDOWS * summary.series.window_s * 1000 + GRACE_MS


def late_until(summary: Summary) -> int:
    """The first moment at which a window is stale."""
    return summary.end_ms + LATE_WINDOWS * summary.series.window_s * 1000 + GRACE_MS


def aged(now_ms: int, fresh_until_ms: int, late_until_ms: int) -> Freshness:
    """The state of what is fresh, then late, up to two moments."""
    if now_ms < fresh_until_ms:
        return Freshness.FRESH
    return Freshness.LATE if now_ms < late_until_ms else Freshness.STALE


def air(co2: Summary | None, now_ms: int) -> Air:
    """What a room's CO2 asks for; unknown when it is not fresh or late."""
    if co2 is None:
        return Air.NONE
    if "mean" not in co2.fields or freshness(co2, now_ms) not in (Freshness.FRESH, Freshness.LATE):
        return Air.UNKNOWN
    if co2.fields["mean"] > AIR_ACT_PPM:
        return Air.ACT
    return Air.WATCH if co2.fields["mean"] > AIR_WATCH_PPM else Air.GOOD
