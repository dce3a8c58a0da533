"""Lessons as a timetable has them, and the hours that they leave: weekdays and times alone, never what is taught."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Span = tuple[int, int]
"""Begin and end, in minutes after midnight."""

DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class TimetableMistakes(ConfigurationError):
    """All that cannot be read of a timetable or a list of holidays; names places, never what stands there."""

    code = "timetable_file"

    def __init__(self, path: Path, mistakes: Sequence[tuple[int, str]]) -> None:
        lines = "\n".join(f"  {path}:{line}: {what}" for line, what in sorted(mistakes))
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count}\n{lines}", where=str(path), fix="mend the lines named; nothing was written")


@dataclass(frozen=True, slots=True, order=True)
class Lesson:
    """One lesson of the week, and the line of the file it stands on."""

    weekday: int
    begin: int
    end: int
    line: int

    @property
    def span(self) -> Span:
        """When it is, within its day."""
        return self.begin, self.end


@dataclass(frozen=True, slots=True)
class Week:
    """The weekdays with lessons, and the hours of each: lessons joined over breaks."""

    days: dict[int, tuple[Span, ...]]

    @classmethod
    def of(cls, lessons: Iterable[Lesson], break_minutes: int) -> Week:
        """Join what is at most `break_minutes` apart."""
        days: dict[int, list[Span]] = {}
        for lesson in sorted(lessons):
            spans = days.setdefault(lesson.weekday, [])
            if spans and lesson.begin - spans[-1][1] <= break_minutes:
                spans[-1] = (spans[-1][0], max(spans[-1][1], lesson.end))
            else:
                spans.append(lesson.span)
        return cls({day: tuple(spans) for day, spans in sorted(days.items())})

    def common(self) -> tuple[Span, ...]:
        """The hours that every day with lessons has."""
        minutes = set.intersection(*(_minutes(spans) for spans in self.days.values()))
        return _spans(minutes)

    def any_day(self) -> tuple[Span, ...]:
        """The hours that some day with lessons has."""
        minutes = set.union(*(_minutes(spans) for spans in self.days.values()))
        return _spans(minutes)


def overlaps(lessons: Iterable[Lesson]) -> list[tuple[int, str]]:
    """Lessons of one weekday that overlap without being the same period: what one of them says must be wrong.

    Many classes have a lesson in the same period, so equal times are one period.
    """
    found: list[tuple[int, str]] = []
    periods: dict[tuple[int, Span], int] = {}
    for lesson in sorted(lessons):
        periods.setdefault((lesson.weekday, lesson.span), lesson.line)
    for weekday, group in itertools.groupby(periods.items(), key=lambda item: item[0][0]):
        last_end, last_line = 0, 0
        for (_, (begin, end)), line in group:
            if begin < last_end:
                later, earlier = max(line, last_line), min(line, last_line)
                found.append((later, f"overlaps the lesson of line {earlier} on the same day ({DAY_NAMES[weekday]})"))
            if end > last_end:
                last_end, last_line = end, line
    return found


def write_time(minutes: int) -> str:
    """Minutes after midnight as HH:MM."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def read_time(text: str) -> int:
    """HH:MM as minutes after midnight."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _minutes(spans: Iterable[Span]) -> set[int]:
    return {minute for begin, end in spans for minute in range(begin, end)}


def _spans(minutes: set[int]) -> tuple[Span, ...]:
    begins = sorted(minute for minute in minutes if minute - 1 not in minutes)
    ends = sorted(minute + 1 for minute in minutes if minute + 1 not in minutes)
    return tuple(zip(begins, ends, strict=True))
