"""How much a number is still worth: its age, measured in its own windows; and what the air needs."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry import Summary

FRESH_WINDOWS: Final = 2
LATE_WINDOWS: Final = 10
AIR_QUANTITY: Final = "carbon_dioxide"
AIR_WATCH_PPM: Final = 800
AIR_ACT_PPM: Final = 1000
"""GB/T 17226-2017: the limit of CO2 in classrooms, 0.10 %."""


class Freshness(enum.StrEnum):
    """The state of a number, from good to none at all."""

    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"
    NEVER = "never"


class Air(enum.StrEnum):
    """What the CO2 of a room says, from calm to act."""

    GOOD = "good"
    WATCH = "watch"
    ACT = "act"
    UNKNOWN = "unknown"


_ORDER: Final = tuple(Freshness)


def freshness(summary: Summary | None, now_ms: int) -> Freshness:
    """Fresh below 2 windows after its end, late below 10, then stale; never when there is none."""
    if summary is None:
        return Freshness.NEVER
    age_ms, window_ms = now_ms - summary.end_ms, summary.series.window_s * 1000
    if age_ms < FRESH_WINDOWS * window_ms:
        return Freshness.FRESH
    return Freshness.LATE if age_ms < LATE_WINDOWS * window_ms else Freshness.STALE


def worst(states: Iterable[Freshness]) -> Freshness:
    """The worst of several; never when there are none."""
    return max(states, key=_ORDER.index, default=Freshness.NEVER)


def air(co2: Summary | None, now_ms: int) -> Air:
    """What a room's CO2 asks for; unknown when it is not fresh or late."""
    if co2 is None or "mean" not in co2.fields or freshness(co2, now_ms) not in (Freshness.FRESH, Freshness.LATE):
        return Air.UNKNOWN
    if co2.fields["mean"] > AIR_ACT_PPM:
        return Air.ACT
    return Air.WATCH if co2.fields["mean"] > AIR_WATCH_PPM else Air.GOOD
