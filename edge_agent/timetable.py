"""The school's timetable, as far as it decides how finely indoor readings are told on.

A day is cut into its 24 hours of universal time, each one window of 60 minutes, or, where the whole hour lies in
timetable hours, four of 15. An hour that is only partly lesson time stays whole: a finer window would tell of
minutes outside the timetable.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from telemetry.timetable_table import WEEKDAYS, clock_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from telemetry.timetable_table import TimetableTable

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
FINE_S: Final = 900
COARSE_S: Final = 3600
DAY_S: Final = 86_400
HOURS_A_DAY: Final = 24
FORESEEN_DAYS: Final = 7
"""How far hours are looked for, back and forth."""
_SOME_DAYS: Final = range(20_000, 25_000, 28)
"""Days since 1970, in 2024 to 2038, by which a zone's offsets are known."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """When lessons may take place: weekdays and local hours, with holidays and make-up days (调休)."""

    zone: ZoneInfo
    weekdays: frozenset[int]
    hours: tuple[tuple[dt.time, dt.time], ...]
    holidays: frozenset[dt.date] = frozenset()
    make_up_days: frozenset[dt.date] = frozenset()
    half_days: Mapping[dt.date, dt.time] = field(default_factory=dict)
    """When lessons end on days that end early."""

    @classmethod
    def of(cls, table: TimetableTable, zone: ZoneInfo) -> Timetable:
        """A configuration's, in the school's zone."""
        return cls(
            zone=zone,
            weekdays=frozenset(WEEKDAYS.index(day) for day in table.days),
            hours=tuple((clock_time(begin), clock_time(end)) for begin, end in table.hours),
            holidays=frozenset(table.holidays),
            make_up_days=frozenset(table.make_up_days),
            half_days={day: clock_time(end) for day, end in table.half_days.items()},
        )

    def is_school_day(self, day: dt.date) -> bool:
        """Whether lessons are held that day; a make-up day is one whatever its weekday."""
        if day in self.make_up_days:
            return True
        return day.weekday() in self.weekdays and day not in self.holidays

    def covers(self, start_ms: int, end_ms: int) -> bool:
        """Whether every minute of [start, end) lies in timetable hours."""
        start, last = self._local(start_ms), self._local(end_ms - 1)
        if start.date() != last.date() or not self.is_school_day(start.date()):
            return False
        if last.time() >= self.half_days.get(start.date(), dt.time.max):
            return False
        return any(begin <= start.time() and last.time() < end for begin, end in self.hours)

    def touches(self, start_ms: int, end_ms: int) -> bool:
        """Whether any minute of [start, end), whole ones, lies in timetable hours."""
        first, last = self._local(start_ms), self._local(end_ms - MINUTE_MS)
        if first.date() == last.date() and first.utcoffset() == last.utcoffset():
            return self._has_lesson(first, last)
        minutes = map(self._local, range(start_ms, end_ms, MINUTE_MS))
        return any(self._has_lesson(minute, minute) for minute in minutes)

    def _has_lesson(self, first: dt.datetime, last: dt.datetime) -> bool:
        """Whether any minute from `first` to `last`, of one day and one offset, lies in timetable hours."""
        day = first.date()
        if not self.is_school_day(day):
            return False
        since, until = first.time(), last.time()
        early = self.half_days.get(day, dt.time.max)
        return any((lesson := max(begin, since)) <= until and lesson < min(end, early) for begin, end in self.hours)

    def most_hours(self) -> int:
        """The most hours, as the clock of the world cuts them, that lie wholly in the timetable hours of one day."""
        begins = [(begin.hour * 60 + begin.minute, _minutes(end)) for begin, end in self.hours]
        offsets = {self._local(DAY_S * 1000 * day).utcoffset() or dt.timedelta() for day in _SOME_DAYS}
        phases = {int(offset.total_seconds()) // 60 % 60 for offset in offsets}
        return max(
            sum(begin <= minute and minute + 60 <= end for begin, end in begins for minute in range(phase, 1440, 60))
            for phase in phases
        )

    def day_start(self, time_ms: int) -> int:
        """The local midnight at or before `time_ms`; days are 24 hours of standard time, whatever the season."""
        local = self._local(time_ms)
        offset = (local.utcoffset() or dt.timedelta()) - (local.dst() or dt.timedelta())
        offset_ms = int(offset.total_seconds() * 1000)
        return (time_ms + offset_ms) // (DAY_S * 1000) * DAY_S * 1000 - offset_ms

    def _local(self, time_ms: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(time_ms / 1000, self.zone)


@dataclass(frozen=True, slots=True)
class Hours:
    """When timetable hours were last, and when they are next: by the calendar alone, whatever was measured."""

    day: int
    """The last UTC day, since 1970, that has any, today's included; 0 where none of the last days had."""
    hours: int
    """Its hours, as `CompiledTimetable.days` has them."""
    next_ms: int
    """When the first begin on a day after today; where there are none soon, a moment before which none begin."""


@dataclass(slots=True)
class CompiledTimetable:
    """The timetable as it was compiled for each day; a day's windows never change once one was opened.

    `days` maps a UTC day number to 48 bits, two an hour: of the lower 24 one is set where the hour is cut into 15
    minutes, of the upper 24 where any of it lies in timetable hours. It is part of the agent's durable state, so that
    an edited configuration takes effect with the next day.
    """

    timetable: Timetable
    days: dict[int, int] = field(default_factory=dict)
    _foreseen: dict[int, int] = field(default_factory=dict, compare=False)
    """Days that were looked at and may still change."""

    def window_at(self, time_ms: int) -> tuple[int, int]:
        """Start in milliseconds and length in seconds of the window that holds `time_ms`."""
        day, within = divmod(time_ms, DAY_S * 1000)
        length_s = FINE_S if self._mask(day) >> within // HOUR_MS & 1 else COARSE_S
        return time_ms - time_ms % (length_s * 1000), length_s

    def touches(self, time_ms: int) -> bool:
        """Whether the hour that holds `time_ms` lies in timetable hours, all of it or a part."""
        day, within = divmod(time_ms, DAY_S * 1000)
        mask, hour = self._mask(day), within // HOUR_MS
        return bool((mask | mask >> HOURS_A_DAY) >> hour & 1)

    def lesson_hour(self, time_ms: int) -> int | None:
        """Start in milliseconds of the hour that holds `time_ms`, if the whole of it lies in timetable hours."""
        day, within = divmod(time_ms, DAY_S * 1000)
        return time_ms - time_ms % HOUR_MS if self._mask(day) >> within // HOUR_MS & 1 else None

    def hours(self, now_ms: int) -> Hours:
        """The timetable hours around a moment. Compiles no day for good."""
        today = now_ms // (DAY_S * 1000)
        last = next((day for day in range(today, today - FORESEEN_DAYS, -1) if self._foresee(day)), 0)
        ahead = today + FORESEEN_DAYS
        coming = next((day for day in range(today + 1, ahead) if self._foresee(day)), ahead)
        mask = self._foresee(coming) if coming < ahead else 1
        first_hour = next(hour for hour in range(HOURS_A_DAY) if (mask | mask >> HOURS_A_DAY) >> hour & 1)
        return Hours(last, self._foresee(last) if last else 0, coming * DAY_S * 1000 + first_hour * HOUR_MS)

    def _mask(self, day: int) -> int:
        mask = self.days.get(day)
        if mask is None:
            mask = self.days[day] = self._compile(day)
        return mask

    def _foresee(self, day: int) -> int:
        """A day's hours, as they are or will be."""
        mask = self.days.get(day, self._foreseen.get(day))
        if mask is None:
            mask = self._foreseen[day] = self._compile(day)
        return mask

    def _compile(self, day: int) -> int:
        midnight, mask = day * DAY_S * 1000, 0
        for hour in range(HOURS_A_DAY):
            start = midnight + hour * HOUR_MS
            mask |= self.timetable.covers(start, start + HOUR_MS) << hour
            mask |= self.timetable.touches(start, start + HOUR_MS) << HOURS_A_DAY + hour
        return mask


def _minutes(end: dt.time) -> int:
    """Since midnight; `time.max` is the end of the day."""
    return 1440 if end == dt.time.max else end.hour * 60 + end.minute
