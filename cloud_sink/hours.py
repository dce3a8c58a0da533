"""When a school's rooms have anything to tell: its timetable hours, as its agents report them, and what was due then.

A policy may let nothing of a room leave outside timetable hours. So a series is not late because time passes, but
because windows are missing that it should have had. Agents tell the hours of each day; of days that none told of,
nothing was due, but from where the last report said that hours would begin again, they count as begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry.spans import DAY_S, HOUR_S, QUARTER_S, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from telemetry.uplink_contract import AgentReport

HOURS_A_DAY: Final = 24
KEPT_DAYS: Final = 40
_ALL_DAY: Final = (1 << HOURS_A_DAY) - 1
_DAY_MS: Final = DAY_S * 1000
_HOUR_MS: Final = HOUR_S * 1000
_QUARTER_MS: Final = QUARTER_S * 1000


def first_day(now_ms: int) -> int:
    """The first of the days that are remembered at a moment."""
    return now_ms // _DAY_MS - KEPT_DAYS


class Hours:
    """The timetable hours of one school."""

    def __init__(self) -> None:
        self._days: dict[int, int] = {}
        self._told_ms = 0
        self._next_ms = 0

    @property
    def is_known(self) -> bool:
        """Whether an agent has told of any."""
        return self._next_ms > 0

    def take(self, report: AgentReport, now_ms: int) -> None:
        """Note what a report says of them; one of an agent that does not know of this says nothing.

        Nor does one of an agent whose clock is more than a day ahead: until then nothing would ever be missed.
        """
        if not report.hours_next_ms or report.time_ms > now_ms + _DAY_MS:
            return
        self.note(report.hours_day, report.hours, now_ms)
        told_ms = min(report.time_ms, now_ms)  # by a clock that is ahead it would stand until it is that late
        if told_ms >= self._told_ms:
            self._told_ms, self._next_ms = told_ms, report.hours_next_ms

    def note(self, day: int, hours: int, now_ms: int) -> None:
        """Note one day's hours, two bits each, as `AgentReport.hours` has them: of the last days, and no later ones."""
        first = first_day(now_ms)
        if hours and first <= day <= first + KEPT_DAYS + 1:
            self._days[day] = self._days.get(day, 0) | hours
        for old in [known for known in self._days if known < first]:
            del self._days[old]

    def missed(self, end_ms: int, until_ms: int, span: Span, most: int) -> int:
        """How many windows of a series lie wholly in [end, until): those after the last it told, `most` at most."""
        found, day = 0, max(end_ms // _DAY_MS, min(self._days, default=0))
        while day * _DAY_MS < until_ms and found < most:
            found += sum(end_ms < due_ms <= until_ms for due_ms in self._due(day, span))
            day += 1
        return min(found, most)

    def was_outside(self, from_ms: int, to_ms: int) -> bool:
        """Whether any moment of [from, to) lies outside timetable hours."""
        hours = range(from_ms // _HOUR_MS, -(-to_ms // _HOUR_MS))
        return any(not self._touches(*divmod(hour, HOURS_A_DAY)) for hour in hours)

    def is_outside(self, now_ms: int) -> bool:
        """Whether this moment does, as far as is known."""
        return self.is_known and self.was_outside(now_ms, now_ms + 1)

    def _touches(self, day: int, hour: int) -> bool:
        hours = self._hours(day)
        return bool((hours | hours >> HOURS_A_DAY) >> hour & 1)

    def _due(self, day: int, span: Span) -> Iterable[int]:
        """When the day's windows end."""
        hours = self._hours(day)
        for hour in range(HOURS_A_DAY):
            is_whole, is_touched = bool(hours >> hour & 1), self._touches(day, hour)
            start_ms = day * _DAY_MS + hour * _HOUR_MS
            if is_touched and (span is Span.HOUR or (span is Span.TIMETABLE and not is_whole)):
                yield start_ms + _HOUR_MS
            elif is_touched:
                yield from range(start_ms + _QUARTER_MS, start_ms + _HOUR_MS + 1, _QUARTER_MS)

    def _hours(self, day: int) -> int:
        known = self._days.get(day)
        if known is not None or not self.is_known:
            return known or 0
        begun = self._next_ms - day * _DAY_MS
        return _ALL_DAY if begun <= 0 else _ALL_DAY & ~((1 << min(begun // _HOUR_MS, HOURS_A_DAY)) - 1)


class HoursOfSchools:
    """The hours of every school, by what its agents say."""

    def __init__(self, schools: Mapping[str, str]) -> None:
        """`schools` has the school of each agent."""
        self._schools = schools
        self._hours: dict[str, Hours] = {}

    def of(self, school: str) -> Hours:
        """Those of a school; nothing is known of one whose agents told none."""
        return self._hours.setdefault(school, Hours())

    def are_outside(self, schools: Iterable[str], now_ms: int) -> bool:
        """Whether none of these schools has timetable hours at a moment."""
        return all(self.of(school).is_outside(now_ms) for school in schools)

    def of_agent(self, agent: str) -> Hours:
        """Those of an agent's school."""
        return self.of(self._schools.get(agent, ""))
