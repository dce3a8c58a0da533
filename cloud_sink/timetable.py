"""A school's timetable, as its agents have it: when lessons are held, so that pages can tell occupied time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from telemetry.timetable_table import TimetableTable

Span: TypeAlias = tuple[int, int]
"""[from, to) in milliseconds."""


def lessons(timetable: TimetableTable, day: dt.date, zone: ZoneInfo) -> list[Span]:
    """The lesson hours of a day."""
    if not timetable.is_school_day(day):
        return []
    last = timetable.half_days.get(day, "24:00")
    hours = [(begin, min(end, last)) for begin, end in timetable.hours if begin < last]
    return [(_moment(day, begin, zone), _moment(day, end, zone)) for begin, end in hours]


def _moment(day: dt.date, time: str, zone: ZoneInfo) -> int:
    if time == "24:00":
        day, time = day + dt.timedelta(days=1), "00:00"
    return int(dt.datetime.combine(day, dt.time.fromisoformat(time), zone).timestamp() * 1000)
