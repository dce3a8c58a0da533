"""Lessons from an iCalendar file (RFC 5545): the weekday and times of each VEVENT, and nothing else of it.

A small strict reader rather than a library: it needs five properties, and has to name the line of what it cannot
take. SUMMARY, DESCRIPTION, ATTENDEE and all the rest are passed over unread.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bansui.timetables.csv_file import read_text
from bansui.timetables.lessons import Lesson, TimetableMistakes, overlaps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_PROPERTY: Final = re.compile(r"([A-Za-z-]+)((?:;[A-Za-z-]+=(?:\"[^\"]*\"|[^\";:]*))*):(.*)", re.DOTALL)
_TIME: Final = re.compile(r"[0-9]{8}T[0-9]{6}(Z?)")
_DURATION: Final = re.compile(r"PT(?:([0-9]+)H)?(?:([0-9]+)M)?")
_WINDOWS_ZONES: Final = {"China Standard Time": "Asia/Shanghai", "Taipei Standard Time": "Asia/Taipei"}
"""Names that Outlook writes where RFC 5545 wants a VTIMEZONE."""
_WANTED: Final = frozenset(("DTSTART", "DTEND", "DURATION", "RRULE", "STATUS", "RECURRENCE-ID"))


class _NotALesson(Exception):
    """Why an event cannot be read, and on which line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


@dataclass(slots=True)
class _Event:
    line: int
    properties: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """Of each wanted property: its line, its parameters and its value."""


def read_lessons(path: Path, zone: zoneinfo.ZoneInfo) -> list[Lesson]:
    """The lessons of every event that has a time, in the school's zone. Raises `TimetableMistakes` with them all.

    An event that comes every other week counts as one of each week; single changed instances are passed over.
    """
    lessons: list[Lesson] = []
    mistakes: list[tuple[int, str]] = []
    for event in _events(path):
        try:
            lessons += _lessons(event, zone)
        except _NotALesson as error:
            mistakes.append((error.line, error.what))
    mistakes += overlaps(lessons)
    if not lessons and not mistakes:
        mistakes.append((1, "there is no event with a time in it"))
    if mistakes:
        raise TimetableMistakes(path, mistakes)
    return lessons


def _events(path: Path) -> Iterator[_Event]:
    event: _Event | None = None
    nested = 0
    number = 1
    for number, line in _unfolded(read_text(path)):
        match = _PROPERTY.fullmatch(line)
        name, value = (match.group(1).upper(), match.group(3)) if match else ("", "")
        if number == 1 and (name, value.upper()) != ("BEGIN", "VCALENDAR"):
            raise TimetableMistakes(path, [(1, "not an iCalendar file: it does not begin with BEGIN:VCALENDAR")])
        if (name, value.upper()) == ("BEGIN", "VEVENT"):
            event, nested = _Event(number), 0
        elif (name, value.upper()) == ("END", "VEVENT") and event is not None:
            yield event
            event = None
        elif event is not None and name in ("BEGIN", "END"):
            nested += 1 if name == "BEGIN" else -1  # an alarm has times of its own
        elif event is not None and match and not nested and name in _WANTED:
            event.properties[name] = (number, match.group(2), value.strip())
    if event is not None:
        raise TimetableMistakes(path, [(number, f"the event of line {event.line} does not end: the file is cut short")])


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Content lines with the number of their first line (RFC 5545 section 3.1)."""
    begun, content = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line[:1] in (" ", "\t"):
            content += line[1:]
        else:
            if content:
                yield begun, content
            begun, content = number, line
    if content:
        yield begun, content


def _lessons(event: _Event, zone: zoneinfo.ZoneInfo) -> Iterator[Lesson]:
    properties = event.properties
    if properties.get("STATUS", (0, "", ""))[2].upper() == "CANCELLED" or "RECURRENCE-ID" in properties:
        return
    if "DTSTART" not in properties:
        raise _NotALesson(event.line, "the event has no DTSTART")
    if "T" not in properties["DTSTART"][2]:
        return  # a day, not a lesson
    start = _time(properties["DTSTART"], zone)
    end = _end(event, start, zone)
    if end <= start or (end.date() != start.date() and end.time() != dt.time()):
        raise _NotALesson(event.line, "the event does not end on the day it begins")
    begin = start.hour * 60 + start.minute
    length = int((end - start).total_seconds()) // 60
    for weekday in _weekdays(event, start):
        yield Lesson(weekday, begin, begin + length, event.line)


def _end(event: _Event, start: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    if "DTEND" in event.properties:
        return _time(event.properties["DTEND"], zone)
    line, _, value = event.properties.get("DURATION", (event.line, "", ""))
    match = _DURATION.fullmatch(value)
    if match is None or not any(match.groups()):
        raise _NotALesson(line, "the event has neither DTEND nor a DURATION in hours and minutes")
    return start + dt.timedelta(hours=int(match.group(1) or 0), minutes=int(match.group(2) or 0))


def _time(stated: tuple[int, str, str], zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """A DATE-TIME (RFC 5545 section 3.3.5) as the school's clock shows it."""
    line, parameters, value = stated
    match = _TIME.fullmatch(value)
    try:
        time = dt.datetime.strptime(value[:15], "%Y%m%dT%H%M%S").replace(tzinfo=zone) if match else None
    except ValueError:
        time = None
    if time is None or match is None:
        raise _NotALesson(line, "not a time of RFC 5545, such as 20260901T080000")
    if match.group(1):
        return time.replace(tzinfo=dt.UTC).astimezone(zone)
    name = re.search(r";TZID=\"?([^\";:]*)", parameters, re.IGNORECASE)
    if name is None:
        return time
    stated_zone = _WINDOWS_ZONES.get(name.group(1), name.group(1).removeprefix("/"))
    if stated_zone not in zoneinfo.available_timezones():
        raise _NotALesson(line, "TZID is not a zone of the IANA database, such as Asia/Shanghai")
    return time.replace(tzinfo=zoneinfo.ZoneInfo(stated_zone)).astimezone(zone)


def _weekdays(event: _Event, start: dt.datetime) -> list[int]:
    line, _, value = event.properties.get("RRULE", (event.line, "", ""))
    rule = dict(part.upper().partition("=")[::2] for part in value.split(";") if part)
    if not rule:
        return [start.weekday()]
    if rule.get("FREQ") != "WEEKLY":
        raise _NotALesson(line, "RRULE: lessons come back weekly; other rules are not read")
    days = [day for day in rule.get("BYDAY", "").split(",") if day] or [_DAYS[start.weekday()]]
    if any(day not in _DAYS for day in days):
        raise _NotALesson(line, "RRULE: BYDAY is a list of MO, TU, WE, TH, FR, SA, SU")
    return [_DAYS.index(day) for day in days]
