"""`bansui timetable`: bring the school's lesson timetable and its holidays into the agent's configuration."""

import json
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bansui import failures
from bansui.json_option import AsJson

if TYPE_CHECKING:
    from bansui.timetables.lessons import Lesson, Week
    from bansui.timetables.table import SpecialDays, Table

app = typer.Typer(help="The school's timetable, from the files that schools have.", no_args_is_help=True)

_WORDS: Final = {
    "en": {
        "read": "{lessons} lessons on {days} weekdays, {holidays} holidays, {make_up} make-up days, {half} half days",
        "narrower": "the days differ; these hours are common to all, so that no empty room is told on finely:",
        "wider": "the days differ; these hours are those of any day:",
        "written": "{file}: [timetable] is replaced; check it with `bansui agent validate --config {file}`",
    },
    "zh": {
        "read": "{days} 个上课日共 {lessons} 节课，节假日 {holidays} 天，调休上课 {make_up} 天，半天 {half} 天",
        "narrower": "各日时间不同；取各日共有的时段，以免空教室被过细地发布：",
        "wider": "各日时间不同；取任意一日有课的时段：",
        "written": "{file}：[timetable] 已替换；请用 `bansui agent validate --config {file}` 检查",
    },
}


@app.callback()
def _group() -> None:
    """The school's timetable, from the files that schools have."""


@app.command("import")
def import_timetable(
    file: Annotated[Path, typer.Argument(help="CSV with columns weekday, begin, end; or iCalendar (.ics).")],
    *,
    holidays: Annotated[
        Path | None,
        typer.Option(help="CSV with columns date, kind (holiday, make_up, half_day) and until; see configs/."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Replace [timetable] in this agent.toml; else print it. Holidays stay, if none are given."),
    ] = None,
    any_day: Annotated[
        bool, typer.Option("--any-day", help="Where weekdays differ, hours of any day, not those common to all.")
    ] = False,
    break_minutes: Annotated[
        int, typer.Option("--break", min=0, max=120, help="Lessons at most so many minutes apart are joined.")
    ] = 30,
    timezone: Annotated[str, typer.Option(help="The school's zone, for times in .ics of another.")] = "Asia/Shanghai",
    as_json: AsJson = False,
) -> None:
    """Read a lesson timetable; names of teachers, classes and subjects in it are never kept or printed."""
    from bansui.files import replace_file
    from bansui.timetables.csv_file import read_holidays
    from bansui.timetables.lessons import Week
    from bansui.timetables.table import Table, replace_in

    text = None if into is None else _configuration(into)
    lessons = _lessons(file, timezone)
    week = Week.of(lessons, break_minutes)
    hours = week.any_day() if any_day else week.common()
    if not hours:
        raise failures.UsageError(
            "the weekdays have no hour in common", where=str(file), fix="take the hours of any day: --any-day"
        )
    special = read_holidays(holidays) if holidays is not None else _special_days_of(into)
    table = Table(list(week.days), hours, special)
    if into is not None and text is not None:
        replace_file(into, replace_in(text, table))
    if as_json:
        print(json.dumps(table.as_dict()))
    else:
        _tell(table, week, len(lessons), into, any_day=any_day)


def _configuration(path: Path) -> str:
    """The text of the file that the table goes into: one that is no TOML would not become any."""
    from edge_agent.config_file import CHECK
    from telemetry.table_file import read_document

    return read_document(path, CHECK)[0]


def _lessons(file: Path, timezone: str) -> "list[Lesson]":
    from bansui.timetables import csv_file, ics_file

    if timezone not in zoneinfo.available_timezones():
        raise failures.UsageError(f"{timezone!r} is no IANA time zone", where="--timezone", fix="such as Asia/Shanghai")
    if file.suffix.lower() == ".ics":
        return ics_file.read_lessons(file, zoneinfo.ZoneInfo(timezone))
    return csv_file.read_lessons(file)


def _special_days_of(into: Path | None) -> "SpecialDays":
    """Those that stand in the file already; a file that is no whole configuration is not touched."""
    from bansui.timetables.lessons import read_time
    from bansui.timetables.table import SpecialDays
    from edge_agent.config_file import load

    if into is None:
        return SpecialDays()
    timetable = load(into).tables.timetable
    half_days = {date: read_time(end) for date, end in timetable.half_days.items()}
    return SpecialDays(timetable.holidays, timetable.make_up_days, half_days)


def _tell(table: "Table", week: "Week", lessons: int, into: Path | None, *, any_day: bool) -> None:
    words = _WORDS[failures.language()]
    read = words["read"].format(
        lessons=lessons,
        days=len(table.days),
        holidays=len(table.special.holidays),
        make_up=len(table.special.make_up_days),
        half=len(table.special.half_days),
    )
    typer.echo(read, err=True)
    if len(set(week.days.values())) > 1:
        typer.echo(words["wider" if any_day else "narrower"], err=True)
    if into is None:
        print(table.as_toml(), end="")
    else:
        print(words["written"].format(file=into))
