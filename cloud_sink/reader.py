"""Who asks for a page, and for what of it: language, day, span, resolution, wall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from cloud_sink.text import COOKIE, Text, known, negotiate
from cloud_sink.wording import Wording

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from fastapi import Request

    from cloud_sink.timetable import Span

WEEK: Final = 7
STEPS: Final = {"900": 900, "3600": 3600, "60": 60}
"""Resolutions that may be asked for, in seconds; 60 is as delivered: nothing is told more finely."""
_DEFAULT: Final = {1: "900", WEEK: "3600"}


@dataclass(frozen=True, slots=True)
class Reader:
    """What a request says of its reader."""

    path: str
    asked: str | None
    """The language asked for in the address, to be remembered."""
    text: Text
    wording: Wording
    day: date
    """The last day shown."""
    days: int
    step: str
    is_wall: bool

    @property
    def span(self) -> Span:
        """[first day's midnight, the midnight after the last)."""
        first = self.wording.day_span(self.day - timedelta(days=self.days - 1))[0]
        return first, self.wording.day_span(self.day)[1]

    @property
    def step_s(self) -> int:
        """The resolution; a week as delivered is told in quarter hours."""
        return max(STEPS[self.step], 900) if self.days == WEEK else STEPS[self.step]

    @property
    def is_today(self) -> bool:
        """Whether the last day shown is the school's today."""
        return self.day == self.wording.today

    def link(self, *, day: date | None = None, days: int | None = None, step: str | None = None) -> str:
        """The address of the same page with another span or resolution."""
        day, days = day or self.day, days or self.days
        query = {"day": day.isoformat()} if day != self.wording.today else {}
        if days != 1:
            query["days"] = str(days)
        if (chosen := step or (self.step if days == self.days else _DEFAULT[days])) != _DEFAULT[days]:
            query["step"] = chosen
        if self.is_wall:
            query["wall"] = "1"
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def in_language(self, language: str) -> str:
        """The address of the same page in another language."""
        here = self.link()
        return f"{here}{'&' if '?' in here else '?'}lang={language}"


def read(request: Request, timezone: ZoneInfo, now_ms: int) -> Reader:
    """Take what can be understood of a request; what cannot is as if it were not there."""
    query = request.query_params
    asked = known(query.get("lang"))
    text = Text(negotiate(asked, request.cookies.get(COOKIE), request.headers.get("Accept-Language")))
    wording = Wording(text, timezone, now_ms)
    days = WEEK if query.get("days") == str(WEEK) else 1
    step = query.get("step", "")
    return Reader(
        path=request.url.path,
        asked=asked,
        text=text,
        wording=wording,
        day=_day(query.get("day", ""), wording),
        days=days,
        step=step if step in STEPS else _DEFAULT[days],
        is_wall=query.get("wall") == "1",
    )


def _day(asked: str, wording: Wording) -> date:
    try:
        day = date.fromisoformat(asked)
        wording.day_span(day - timedelta(days=WEEK))
        wording.day_span(day + timedelta(days=1))
    except (ValueError, OverflowError):
        return wording.today
    return min(day, wording.today)
