"""`bansui timetable import`: the files that schools have, into the one table that the agent needs."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import TYPE_CHECKING

import pytest

from bansui import cli
from bansui.timetables.csv_file import read_holidays, read_lessons
from bansui.timetables.ics_file import read_lessons as read_events
from bansui.timetables.lessons import TimetableMistakes, Week
from edge_agent.config_file import load
from tests.documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SHANGHAI = zoneinfo.ZoneInfo("Asia/Shanghai")
HOLIDAYS = ROOT / "configs/holidays-2026.csv"
EXPORT = """星期,节次,开始时间,结束时间,班级,科目,教师
周一,1,08:00,08:40,三(2)班,语文,欧阳娜娜
周一,1,08:00,08:40,三(3)班,数学,司马相如
星期一,2,8:50,9:30,三(2)班,数学,司马相如
周一,5,13：00,13:40,三(2)班,音乐,欧阳娜娜
星期二,1,8:00:00,8:40:00,三(2)班,数学,司马相如
星期二,2,8:50,9:30,三(2)班,数学,司马相如
"""
EVENT = "BEGIN:VEVENT\r\nSUMMARY:Ms Smith\r\n{}\r\nEND:VEVENT\r\n"
CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n"


def write(folder: Path, text: str, encoding: str = "utf-8", name: str = "lessons.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_schools_export_is_read_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    """Chinese headings, four ways to write a weekday or a time, many classes in one period."""
    lessons = read_lessons(write(tmp_path, EXPORT, encoding))
    week = Week.of(lessons, break_minutes=30)
    assert week.days == {0: ((480, 570), (780, 820)), 1: ((480, 570),)}
    assert week.common() == ((480, 570),)
    assert week.any_day() == ((480, 570), (780, 820))


def test_a_break_joins_what_it_is_long_enough_for() -> None:
    """Lessons with ten minutes between them are one block; without breaks each stands alone."""
    lessons = read_lessons(ROOT / "tests/bansui/fixtures/lessons.csv")
    assert Week.of(lessons, break_minutes=0).days[0][0] == (480, 520)
    assert Week.of(lessons, break_minutes=10).days[0][0] == (480, 570)


def test_overlaps_are_refused_with_both_lines(tmp_path: Path) -> None:
    """Periods that overlap without being the same: one of the two lines is wrong."""
    path = write(tmp_path, "weekday,begin,end\nmon,08:00,08:40\ntue,08:00,08:40\nmon,08:30,09:10\n")
    with pytest.raises(TimetableMistakes) as caught:
        read_lessons(path)
    assert f"{path}:4: overlaps the lesson of line 2" in str(caught.value)
    assert "1 mistake\n" in str(caught.value)


def test_all_mistakes_are_told_at_once_and_no_cell_is_repeated(tmp_path: Path) -> None:
    """A shifted column puts names where a time is awaited: places are named, contents never."""
    text = "weekday,begin,end\nSmith,08:00,08:40\nmon,Jones,09:30\nmon,10:00,Brown\nmon,11:00,10:00\n"
    with pytest.raises(TimetableMistakes) as caught:
        read_lessons(write(tmp_path, text))
    said = str(caught.value)
    for line, what in ((2, "weekday:"), (3, "begin:"), (4, "end:"), (5, "ends before it begins")):
        assert f":{line}: " in said
        assert what in said
    assert not any(name in said for name in ("Smith", "Jones", "Brown"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("teacher,room\nSmith,1\n", "no column weekday"),
        ("weekday,begin,end\n", "no lesson"),
    ],
)
def test_a_file_that_is_no_timetable_says_what_is_missing(text: str, what: str, tmp_path: Path) -> None:
    """The columns that are awaited are named; the headings that are there are not."""
    with pytest.raises(TimetableMistakes, match=what) as caught:
        read_lessons(write(tmp_path, text))
    assert "teacher" not in str(caught.value)


def test_the_years_holidays_and_make_up_days_are_the_notices() -> None:
    """The State Council's notice for 2026: 33 days off, six make-up days, all of those on weekends."""
    year = read_holidays(HOLIDAYS)
    assert len(year.holidays) == 3 + 9 + 3 + 5 + 3 + 3 + 7
    assert [f"{day:%m-%d}" for day in year.make_up_days] == ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]
    assert all(day.weekday() >= 5 for day in year.make_up_days)
    assert dt.date(2026, 2, 16) in year.holidays


def test_half_days_go_into_the_table_and_stay_there(tmp_path: Path) -> None:
    """A half day says when its lessons end; a later import without holidays keeps it."""
    path = write(tmp_path, (ROOT / "configs/agent.toml").read_text(), name="agent.toml")
    days = write(tmp_path, "日期,类型,放学\n2026-06-30,半天,11:45\n2026-07-01,放假,\n", name="days.csv")
    export = write(tmp_path, EXPORT, "gb18030")
    for more in (["--holidays", str(days)], []):
        assert cli.run(["timetable", "import", str(export), *more, "--into", str(path)]) == 0
        timetable = load(path).tables.timetable
        assert timetable.half_days == {dt.date(2026, 6, 30): "11:45"}
        assert timetable.holidays == (dt.date(2026, 7, 1),)
    with pytest.raises(TimetableMistakes, match="until: write when"):
        read_holidays(write(tmp_path, "date,kind\n2026-06-30,half_day\n", name="none.csv"))


def test_holidays_refuse_a_date_twice_and_an_unknown_kind(tmp_path: Path) -> None:
    """A date cannot be both; what is neither is not guessed."""
    text = "日期,类型\n2026/10/1,放假\n2026年10月10日,调休\n2026-10-01,调休\n2026-10-02,party\n2026-02-30,放假\n"
    with pytest.raises(TimetableMistakes) as caught:
        read_holidays(write(tmp_path, text))
    said = str(caught.value)
    assert ":4: the date of line 2 again" in said
    assert ":5: kind:" in said
    assert ":6: date:" in said
    assert "party" not in said


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            (
                "DTSTART;TZID=Asia/Shanghai:20260901T080000\r\nDTEND;TZID=Asia/Shanghai:20260901T084000\r\n"
                "RRULE:FREQ=WEEKLY;BYDAY=TU,TH;UNTIL=20270115T000000Z"
            ),
            [(1, 480, 520), (3, 480, 520)],
        ),
        ("DTSTART:20260901T000000Z\r\nDURATION:PT40M\r\nRRULE:FREQ=WEEKLY", [(1, 480, 520)]),
        ('DTSTART;TZID="China Standard Time":20260902T0800\r\n 00\r\nDTEND:20260902T004000Z', [(2, 480, 520)]),
        ("DTSTART:20260901T080000\r\nDTEND:20260901T084000\r\nSTATUS:CANCELLED", []),
        ("DTSTART;VALUE=DATE:20261001\r\nDTEND;VALUE=DATE:20261008", []),
        (
            (
                "DTSTART:20260901T080000\r\nDTEND:20260901T084000\r\n"
                "BEGIN:VALARM\r\nDURATION:PT5M\r\nTRIGGER:-PT5M\r\nEND:VALARM"
            ),
            [(1, 480, 520)],
        ),
    ],
    ids=["weekly", "universal-time", "outlook-folded", "cancelled", "all-day", "alarm"],
)
def test_events_of_a_calendar(lines: str, expected: list[tuple[int, int, int]], tmp_path: Path) -> None:
    """RFC 5545 as calendars write it: local, universal and zoned times, folding, alarms, days without a time."""
    always = EVENT.format("DTSTART:20260904T140000\r\nDTEND:20260904T144000")
    path = write(tmp_path, CALENDAR.format(always + EVENT.format(lines)), name="a.ics")
    found = [(lesson.weekday, lesson.begin, lesson.end) for lesson in read_events(path, SHANGHAI)]
    assert found == [(4, 840, 880), *expected]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("DTEND:20260901T084000", ":3: the event has no DTSTART"),
        ("DTSTART:20260901T080000", ":3: the event has neither DTEND"),
        ("DTSTART:20261301T080000\r\nDTEND:20260901T084000", ":5: not a time"),
        ("DTSTART;TZID=Mars/Base:20260901T080000\r\nDTEND:20260901T084000", ":5: TZID"),
        ("DTSTART:20260901T080000\r\nDTEND:20260902T084000", ":3: the event does not end on the day"),
        ("DTSTART:20260901T080000\r\nDTEND:20260901T084000\r\nRRULE:FREQ=MONTHLY", ":7: RRULE"),
        ("DTSTART:20260901T080000\r\nDTEND:20260901T084000\r\nRRULE:FREQ=WEEKLY;BYDAY=1MO", ":7: RRULE: BYDAY"),
    ],
)
def test_an_event_that_cannot_be_read_is_named_by_its_line(lines: str, what: str, tmp_path: Path) -> None:
    """What is wrong, on which line; never whose lesson it is."""
    path = write(tmp_path, CALENDAR.format(EVENT.format(lines)), name="a.ics")
    with pytest.raises(TimetableMistakes) as caught:
        read_events(path, SHANGHAI)
    assert what in str(caught.value)
    assert "Smith" not in str(caught.value)


@pytest.mark.parametrize("text", ["hello", CALENDAR.format(""), "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\n"])
def test_a_calendar_without_lessons_is_refused(text: str, tmp_path: Path) -> None:
    """No calendar, an empty one, and one that is cut short."""
    with pytest.raises(TimetableMistakes):
        read_events(write(tmp_path, text, name="a.ics"), SHANGHAI)


def test_the_printed_table_is_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Put into agent.toml, the table is what the agent then reads; the rest of the file stays as it was."""
    sample = (ROOT / "configs/agent.toml").read_text()
    path = write(tmp_path, sample, name="agent.toml")
    export = write(tmp_path, EXPORT, "gb18030")
    assert cli.run(["timetable", "import", str(export), "--holidays", str(HOLIDAYS), "--into", str(path)]) == 0
    timetable = load(path).tables.timetable
    assert timetable.days == ("mon", "tue")
    assert timetable.hours == (("08:00", "09:30"),)
    assert len(timetable.holidays) == 33
    before, _, rest = sample.partition("[timetable]")
    assert path.read_text().startswith(before)
    assert path.read_text().endswith(rest[rest.index("[[room]]") :])
    assert cli.run(["timetable", "import", str(export), "--any-day", "--into", str(path)]) == 0
    assert load(path).tables.timetable.hours == (("08:00", "09:30"), ("13:00", "13:40"))
    assert len(load(path).tables.timetable.holidays) == 33
    shown = "".join(capsys.readouterr())
    assert not any(name in shown for name in ("欧阳", "司马", "语文", "三(2)班"))


def test_json_holds_the_table_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: the same keys as in the file."""
    assert cli.run(["timetable", "import", str(write(tmp_path, EXPORT)), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table == {
        "days": ["mon", "tue"],
        "hours": [["08:00", "09:30"]],
        "holidays": [],
        "make_up_days": [],
        "half_days": {},
    }


def test_days_without_a_common_hour_need_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the careful answer is empty, the other one is offered."""
    path = write(tmp_path, "weekday,begin,end\nmon,08:00,09:00\ntue,10:00,11:00\n")
    assert cli.run(["timetable", "import", str(path)]) == 2
    assert "--any-day" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "into", "said"),
    [
        ("none.csv", "agent.toml", "none.csv"),
        ("lessons.csv", "none.toml", "none.toml cannot be read: No such file"),
        ("lessons.csv", "broken.toml", "broken.toml:1: TOML: "),
    ],
)
def test_a_file_that_is_not_there_or_no_toml_is_named_and_nothing_written(
    file: str, into: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether or not the holidays come with it."""
    write(tmp_path, EXPORT)
    write(tmp_path, "[timetable]\n", name="agent.toml")
    write(tmp_path, "[[[", name="broken.toml")
    args = ["timetable", "import", str(tmp_path / file), "--holidays", str(HOLIDAYS), "--into", str(tmp_path / into)]
    assert cli.run(args) == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "broken.toml").read_text() == "[[["
