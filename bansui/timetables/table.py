"""The `[timetable]` table of agent.toml: written out, and put into a file in place of the one that is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bansui.timetables.lessons import DAY_NAMES, write_time

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from bansui.timetables.lessons import Span

_HEADER: Final = re.compile(r"^[ \t]*\[\[?[ \t]*([A-Za-z0-9_.\"-]+)[ \t]*\]", re.MULTILINE)
_DATES_A_LINE: Final = 6


@dataclass(frozen=True, slots=True)
class SpecialDays:
    """Days that are not as the week says."""

    holidays: Sequence[dt.date] = ()
    make_up_days: Sequence[dt.date] = ()
    half_days: Mapping[dt.date, int] = field(default_factory=dict)
    """When their lessons end, in minutes of the day."""


@dataclass(frozen=True, slots=True)
class Table:
    """What the agent has to know of the school's year."""

    days: Sequence[int]
    hours: Sequence[Span]
    special: SpecialDays

    def as_dict(self) -> dict[str, list[object] | dict[str, str]]:
        """The table as `--json` prints it."""
        return {
            "days": [DAY_NAMES[day] for day in self.days],
            "hours": [[write_time(begin), write_time(end)] for begin, end in self.hours],
            "holidays": [date.isoformat() for date in self.special.holidays],
            "make_up_days": [date.isoformat() for date in self.special.make_up_days],
            "half_days": {date.isoformat(): write_time(end) for date, end in self.special.half_days.items()},
        }

    def as_toml(self) -> str:
        """The table as it stands in agent.toml."""
        days = ", ".join(f'"{DAY_NAMES[day]}"' for day in self.days)
        hours = ", ".join(f'["{write_time(begin)}", "{write_time(end)}"]' for begin, end in self.hours)
        lines = ["[timetable]", f"days = [{days}]", f"hours = [{hours}]"]
        special = self.special
        lines += [f"holidays = {_dates(special.holidays)}", f"make_up_days = {_dates(special.make_up_days)}"]
        if special.half_days:
            ends = ", ".join(f'"{date}" = "{write_time(end)}"' for date, end in special.half_days.items())
            lines.append(f"half_days = {{ {ends} }}")
        return "\n".join(lines) + "\n"


def replace_in(text: str, table: Table) -> str:
    """`text` with its `[timetable]` replaced, or added at the end; everything else stays as it is."""
    headers = list(_HEADER.finditer(text))
    for index, header in enumerate(headers):
        if header.group(1) == "timetable":
            end = headers[index + 1].start() if index + 1 < len(headers) else len(text)
            kept = _comment_before_next(text[header.start() : end])
            return text[: header.start()] + table.as_toml() + "\n" + kept + text[end:].lstrip("\n")
    return text.rstrip("\n") + "\n\n" + table.as_toml()


def _comment_before_next(body: str) -> str:
    """The lines of comment that stand right before the next table: they are that table's."""
    kept: list[str] = []
    for line in reversed(body.rstrip("\n").splitlines()):
        if not line.startswith("#"):
            break
        kept.insert(0, line)
    return "".join(f"{line}\n" for line in kept)


def _dates(dates: Sequence[dt.date]) -> str:
    rows = [dates[start : start + _DATES_A_LINE] for start in range(0, len(dates), _DATES_A_LINE)]
    if not rows:
        return "[]"
    quoted = [", ".join(f'"{date}"' for date in row) for row in rows]
    return "[\n" + "".join(f"    {row},\n" for row in quoted) + "]"
