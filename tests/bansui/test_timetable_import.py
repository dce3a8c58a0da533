"""`bansui timetable import`: lessons and holidays from the files that schools have; no name in them comes out."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from edge_agent.config_file import load
from tests.documents import ROOT
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from pathlib import Path

TEACHER = "王建国"
CHINESE = "星期,开始时间,结束时间,课程,教师\n" + "".join(
    f"周{day},{begin},{end},数学,{TEACHER}\n"
    for day in "一二三四五"
    for begin, end in (("8:00", "8:40"), ("8:50", "9:30"), ("10:00", "11:40"), ("13:30", "15:00"))
)
CALENDAR = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//school//EN\r
BEGIN:VEVENT\r
UID:1\r
SUMMARY:Maths with Ms Example\r
DTSTART;TZID=Asia/Shanghai:20260901T080000\r
DTEND;TZID=Asia/Shanghai:20260901T094000\r
RRULE:FREQ=WEEKLY;BYDAY=TU,TH\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_chinese_export_in_any_of_its_encodings(tmp_path: Path, encoding: str) -> None:
    """Lessons with short breaks are joined, the midday break parts them; no teacher is named."""
    file = tmp_path / "课表.csv"
    file.write_text(CHINESE, encoding=encoding)
    done = run_bansui("timetable", "import", str(file))
    assert done.returncode == 0, done.stderr
    assert 'hours = [["08:00", "11:40"], ["13:30", "15:00"]]' in done.stdout
    assert 'days = ["mon", "tue", "wed", "thu", "fri"]' in done.stdout
    assert TEACHER not in done.stdout + done.stderr


def test_a_weekly_calendar(tmp_path: Path) -> None:
    """iCalendar (RFC 5545) events that repeat weekly are lessons on their weekdays."""
    file = tmp_path / "timetable.ics"
    file.write_text(CALENDAR, newline="")
    done = run_bansui("timetable", "import", str(file))
    assert done.returncode == 0, done.stderr
    assert 'days = ["tue", "thu"]' in done.stdout
    assert 'hours = [["08:00", "09:40"]]' in done.stdout
    assert "Example" not in done.stdout + done.stderr


def test_the_holidays_of_a_year_go_into_the_configuration(tmp_path: Path) -> None:
    """The State Council's notice, holidays and make-up days, becomes part of an agent.toml that loads."""
    lessons = tmp_path / "lessons.csv"
    lessons.write_text(CHINESE, encoding="utf-8")
    config = tmp_path / "agent.toml"
    shutil.copy(ROOT / "configs/agent.toml", config)
    holidays = str(ROOT / "configs/holidays-2026.csv")
    done = run_bansui("timetable", "import", str(lessons), "--holidays", holidays, "--into", str(config))
    assert done.returncode == 0, done.stderr
    table = load(config).tables.timetable
    assert table.hours == (("08:00", "11:40"), ("13:30", "15:00"))
    assert dt.date(2026, 10, 1) in table.holidays
    assert dt.date(2026, 10, 10) in table.make_up_days
    assert config.read_text().count("[timetable]") == 1
    assert "[[device]]" in config.read_text()


def test_mistakes_are_told_with_their_lines_and_without_a_cell(tmp_path: Path) -> None:
    """A weekday nobody knows, a lesson that ends before it begins, two at once: all named, no cell repeated."""
    file = tmp_path / "lessons.csv"
    rows = ["weekday,begin,end", f"{TEACHER},08:00,08:40", "mon,09:00,08:00", "tue,08:00,09:00", "tue,08:30,09:30"]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = run_bansui("timetable", "import", str(file))
    assert done.returncode == 2
    assert f"{file}:2" in done.stderr
    assert f"{file}:3" in done.stderr
    assert TEACHER not in done.stderr


def test_an_import_for_programs(tmp_path: Path) -> None:
    """The same as JSON."""
    file = tmp_path / "lessons.csv"
    file.write_text(CHINESE, encoding="utf-8")
    told = json.loads(run_bansui("timetable", "import", str(file), "--json").stdout)
    assert "08:00" in json.dumps(told)
    assert TEACHER not in json.dumps(told, ensure_ascii=False)


def test_a_file_that_is_not_there() -> None:
    """Said as such; exit code 2."""
    done = run_bansui("timetable", "import", "nowhere.csv")
    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr
