"""The table of a school's timetable: `[timetable]` of an agent's file, and `[school.timetable]` of a centre's."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator

from telemetry.table_file import Table

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _time(text: str) -> str:
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", text) is None:
        raise ValueError("a time of day is written HH:MM")
    return text


TimeOfDay = Annotated[str, AfterValidator(_time)]


class TimetableTable(Table):
    """When lessons may take place, in the school's own time."""

    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    hours: tuple[tuple[TimeOfDay, TimeOfDay], ...]
    holidays: tuple[dt.date, ...] = ()
    make_up_days: tuple[dt.date, ...] = ()
    """Dates on which lessons are held whatever their weekday (调休)."""
    half_days: dict[dt.date, TimeOfDay] = Field(default_factory=dict)
    """Dates on which lessons end early, and when."""

    @field_validator("hours")
    @classmethod
    def _in_order(cls, hours: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        times = [time for pair in hours for time in pair]
        if any(after <= before for before, after in itertools.pairwise(times)):
            raise ValueError("hours are pairs [begin, end] in order that do not overlap")
        return hours

    def is_school_day(self, day: dt.date) -> bool:
        """Whether lessons are held; a make-up day is one whatever its weekday."""
        if day in self.make_up_days:
            return True
        return WEEKDAYS[day.weekday()] in self.days and day not in self.holidays


def clock_time(text: str) -> dt.time:
    """The time of a table; `24:00` is the last moment of the day."""
    return dt.time.max if text == "24:00" else dt.time.fromisoformat(text)
