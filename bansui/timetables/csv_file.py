"""Lessons and holidays from CSV as schools export it: UTF-8 or GB18030, headings in English or Chinese.

Only the columns that are named here are looked at. A cell is never repeated in a message: in a file whose columns
are shifted it may be somebody's name.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from bansui.timetables.lessons import Lesson, TimetableMistakes, overlaps
from bansui.timetables.table import SpecialDays
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LARGEST: Final = 4 << 20
_HEADINGS: Final[Mapping[str, frozenset[str]]] = {
    "weekday": frozenset(("weekday", "day", "dayofweek", "星期", "星期几", "周几", "周")),
    "begin": frozenset(("begin", "start", "starttime", "from", "开始", "开始时间", "上课", "上课时间", "起始时间")),
    "end": frozenset(("end", "endtime", "to", "结束", "结束时间", "下课", "下课时间", "终止时间")),
    "date": frozenset(("date", "日期")),
    "kind": frozenset(("kind", "type", "类型", "类别", "安排")),
    "until": frozenset(("until", "至", "放学", "放学时间")),
}
_WEEKDAYS: Final = {
    name: day
    for day, names in enumerate(
        (
            ("1", "mon", "monday", "一"),
            ("2", "tue", "tuesday", "二"),
            ("3", "wed", "wednesday", "三"),
            ("4", "thu", "thursday", "四"),
            ("5", "fri", "friday", "五"),
            ("6", "sat", "saturday", "六"),
            ("7", "sun", "sunday", "日", "天"),
        )
    )
    for name in names
}
_KINDS: Final = {
    "holiday": ("holiday", "off", "假", "休", "放假", "休息", "节假日", "假日"),
    "make_up": ("make_up", "make-up", "makeup", "work", "班", "调休", "上班", "补班", "上课", "补课"),
    "half_day": ("half_day", "half-day", "half", "半天", "半日"),
}
_TIME: Final = re.compile(r"([01]?[0-9]|2[0-4])[:：]([0-5][0-9])(?:[:：]00)?")
_DATE: Final = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")


def read_text(path: Path) -> str:
    """The file's text: UTF-8, UTF-16 with its mark, or GB18030. Raises `ConfigurationError`, or `TimetableMistakes`."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot be read: {error.strerror}", where=str(path), fix="name a .csv or .ics file that is there"
        ) from None
    if len(data) > _LARGEST:
        raise TimetableMistakes(path, [(1, f"larger than {_LARGEST >> 20} MiB: not a timetable")])
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise TimetableMistakes(path, [(1, "neither UTF-8 nor GB18030 text")])


def read_lessons(path: Path) -> list[Lesson]:
    """The lessons of a file with the columns weekday, begin and end. Raises `TimetableMistakes` with them all."""
    lessons: list[Lesson] = []
    mistakes: list[tuple[int, str]] = []
    for line, row in _rows(path, ("weekday", "begin", "end")):
        weekday, begin, end = _weekday(row["weekday"]), _time(row["begin"]), _time(row["end"])
        if weekday is None:
            mistakes.append((line, "weekday: write mon to sun, 1 to 7, or 周一 to 周日"))
        if begin is None or end is None:
            mistakes.append((line, f"{'begin' if begin is None else 'end'}: write a time of day as 08:00"))
        elif end <= begin:
            mistakes.append((line, "the lesson ends before it begins"))
        elif weekday is not None:
            lessons.append(Lesson(weekday, begin, end, line))
    mistakes += overlaps(lessons)
    if not lessons and not mistakes:
        mistakes.append((1, "there is no lesson in it"))
    if mistakes:
        raise TimetableMistakes(path, mistakes)
    return lessons


def read_holidays(path: Path) -> SpecialDays:
    """The days of a file with the columns date and kind, and until for half days. Raises `TimetableMistakes`."""
    found: dict[str, list[dt.date]] = {"holiday": [], "make_up": []}
    half_days: dict[dt.date, int] = {}
    lines: dict[dt.date, int] = {}
    mistakes: list[tuple[int, str]] = []
    for line, row in _rows(path, ("date", "kind"), ("until",)):
        date, until = _date(row["date"]), _time(row["until"])
        kind = next((kind for kind, names in _KINDS.items() if row["kind"].lower() in names), None)
        if date is None:
            mistakes.append((line, "date: write a date as 2026-10-01"))
        elif date in lines:
            mistakes.append((line, f"the date of line {lines[date]} again"))
        elif kind is None:
            mistakes.append((line, "kind: write holiday (放假), make_up (调休) or half_day (半天)"))
        elif kind == "half_day" and until is None:
            mistakes.append((line, "until: write when the lessons of a half day end, as 11:45"))
        else:
            lines[date] = line
            if kind != "half_day":
                found[kind].append(date)
            elif until is not None:
                half_days[date] = until
    if mistakes:
        raise TimetableMistakes(path, mistakes)
    return SpecialDays(sorted(found["holiday"]), sorted(found["make_up"]), dict(sorted(half_days.items())))


def _rows(path: Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row that is not empty, with its line, and of its cells those that are wanted; optional ones may be ""."""
    lines = [line for line in read_text(path).splitlines() if not line.startswith("#")]
    skipped = [number for number, line in enumerate(read_text(path).splitlines(), 1) if not line.startswith("#")]
    if not lines:
        raise TimetableMistakes(path, [(1, "the file is empty")])
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=delimiter)
    headings = [re.sub(r"[\s_]", "", cell).lower() for cell in next(reader)]
    named = (*wanted, *optional)
    places = {name: next((i for i, cell in enumerate(headings) if cell in _HEADINGS[name]), None) for name in named}
    absent = [name for name, place in places.items() if place is None and name in wanted]
    if absent:
        said = ", ".join(f"{name} ({'/'.join(sorted(_HEADINGS[name]))})" for name in absent)
        raise TimetableMistakes(path, [(skipped[0], f"the first line has no column {said}")])
    for row in reader:
        if any(cell.strip() for cell in row):
            cells = {
                name: row[place].strip() if place is not None and place < len(row) else ""
                for name, place in places.items()
            }
            yield skipped[reader.line_num - 1], cells


def _weekday(text: str) -> int | None:
    return _WEEKDAYS.get(re.sub(r"^(星期|礼拜|周)", "", text.strip().lower()))


def _time(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    minutes = int(match.group(1)) * 60 + int(match.group(2)) if match else -1
    return minutes if 0 <= minutes <= 24 * 60 else None


def _date(text: str) -> dt.date | None:
    match = _DATE.fullmatch(text)
    try:
        return dt.date(*map(int, match.groups())) if match else None
    except ValueError:
        return None
