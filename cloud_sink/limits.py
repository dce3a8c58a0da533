"""The limits that charts show, as data: the number, what it is a limit of, its standard and where that can be read.

A limit stated as a mean over a time is compared to the mean over that time, never to one window: a line that is
passed at ten o'clock says nothing yet about a daily mean.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloud_sink.timetable import Span
    from telemetry import Summary


class Over(enum.StrEnum):
    """The time a limit's mean is taken over."""

    LESSONS = "lessons"
    """The occupied time of a day."""
    DAY = "day"
    """24 hours."""
    DESK = "desk"
    """Lessons again, as the illuminance maintained at the desk."""
    EMPTY = "empty"
    """Outside lessons: background noise is measured in an empty room with closed windows."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A number with all that is needed to trust it."""

    quantity: str
    value: float
    is_least: bool
    over: Over
    standard: str
    edition: str
    title_zh: str
    title_en: str
    source: str

    @property
    def ticks(self) -> int:
        """The limit in ticks of its quantity."""
        return round(self.value * 10.0 ** quantity(self.quantity).decimals)

    @property
    def name(self) -> str:
        """Standard and edition."""
        return (
            f"{self.standard}-{self.edition}" if self.standard.startswith("GB") else f"{self.standard} {self.edition}"
        )


_WHO: Final = (
    "WHO 全球空气质量指南",
    "WHO global air quality guidelines",
    "https://www.who.int/publications/i/item/9789240034228",
)
_LIMITS: Final = (
    Limit(
        "carbon_dioxide", 1000, False, Over.LESSONS, "GB/T 17226", "2017",
        "中小学校教室换气卫生要求", "Hygienic requirements of classroom ventilation", "https://openstd.samr.gov.cn",
    ),
    Limit("pm25", 15, False, Over.DAY, "WHO", "2021", *_WHO),
    Limit("pm10", 45, False, Over.DAY, "WHO", "2021", *_WHO),
    Limit(
        "sound_pressure", 45, False, Over.EMPTY, "GB 50118", "2010",
        "民用建筑隔声设计规范", "Code for design of sound insulation of civil buildings", "https://www.mohurd.gov.cn",
    ),
    Limit(
        "illuminance", 300, True, Over.DESK, "GB 7793", "2010",
        "中小学校教室采光和照明卫生标准", "Hygienic standard for day lighting and artificial lighting in schools",
        "https://openstd.samr.gov.cn",
    ),
)  # fmt: skip
LIMITS: Final[Mapping[str, Limit]] = {limit.quantity: limit for limit in _LIMITS}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A limit, and the mean that is to be compared to it, in ticks; None where there is no such window."""

    limit: Limit
    mean: int | None

    @property
    def is_kept(self) -> bool | None:
        """Whether the mean keeps the limit; None when there is no mean."""
        if self.mean is None:
            return None
        return self.mean >= self.limit.ticks if self.limit.is_least else self.mean <= self.limit.ticks


def judge(limit: Limit, windows: Iterable[Summary], lessons: Sequence[Span]) -> Judgement:
    """Compare a day's windows to a limit. Without lessons the whole day counts as occupied, and none of it as empty."""
    total = weight = 0
    for window in windows:
        if "mean" in window.fields and _counts(limit.over, window, lessons):
            total += window.fields["mean"] * window.series.window_s
            weight += window.series.window_s
    return Judgement(limit, (2 * total + weight) // (2 * weight) if weight else None)


def _counts(over: Over, window: Summary, lessons: Sequence[Span]) -> bool:
    is_occupied = over in (Over.LESSONS, Over.DESK)
    if over is Over.DAY or (is_occupied and not lessons):
        return True
    inside = any(begin <= window.start_ms and window.end_ms <= end for begin, end in lessons)
    outside = bool(lessons) and all(window.end_ms <= begin or window.start_ms >= end for begin, end in lessons)
    return inside if is_occupied else outside
