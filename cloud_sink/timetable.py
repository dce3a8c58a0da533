"""A school's timetable, as its agents have it: when lessons are held, so that pages can tell occupied time."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

Span = tuple[int, int]
"""[from, to) in milliseconds."""


class Timetable(BaseModel):
    """[school.timetable]: the keys of `[timetable]` in the agent's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: tuple[_Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    hours: tuple[tuple[_TimeOfDay, _TimeOfDay], ...]
    holidays: tuple[dt.date, ...] = ()
    make_up_days: tuple[dt.date, ...] = ()
    half_days: dict[dt.date, _TimeOfDay] = Field(default_factory=dict)

    @field_validator("hours")
    @classmethod
    def _in_order(cls, hours: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        times = [time for pair in hours for time in pair]
        if any(after <= before for before, after in itertools.pairwise(times)):
            raise ValueError("hours are pairs [begin, end] in order that do not overlap")
        return hours

    def is_school_day(self, day: dt.date) -> bool:
        """Whether lessons are held; a make-up day (调休) is one whatever its weekday."""
        if day in self.make_up_days:
            return True
        return _WEEKDAYS[day.weekday()] in self.days and day not in self.holidays

    def lessons(self, day: dt.date, zone: ZoneInfo) -> list[Span]:
        """The lesson hours of a day."""
        if not self.is_school_day(day):
            return []
        last = self.half_days.get(day, "24:00")
        hours = [(begin, min(end, last)) for begin, end in self.hours if begin < last]
        return [(_moment(day, begin, zone), _moment(day, end, zone)) for begin, end in hours]


def _moment(day: dt.date, time: str, zone: ZoneInfo) -> int:
    return int(dt.datetime.combine(day, dt.time.fromisoformat(time), zone).timestamp() * 1000)
