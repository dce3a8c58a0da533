"""The days of a school as its rooms live them: who is where, what is switched on, when windows are opened."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulators.scenarios import Scenario

_MINUTE: Final = 60_000
_ARRIVE: Final = 5 * _MINUTE
_LEAVE: Final = 2 * _MINUTE
_STAY_IN_BREAK: Final = 0.3
"""The share of pupils who stay in the room between two lessons held there."""
_LONGEST_BREAK: Final = 45 * _MINUTE
"""A longer pause empties the room and turns the projector off."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time from `start_ms` up to, not including, `end_ms`."""

    start_ms: int
    end_ms: int

    def holds(self, at_ms: int) -> bool:
        """Whether the moment lies in it."""
        return self.start_ms <= at_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class Lesson(Span):
    """A lesson or, in silence, with boards dark and windows shut, an examination."""

    attendance: float = 1.0
    """The share of the room's pupils who come."""
    is_exam: bool = False


class RoomTimetable:
    """The lessons held in a room on the days of a scenario; rooms with the same lessons may share one."""

    def __init__(self, scenario: Scenario, numbers: Sequence[int] | None) -> None:
        """`numbers`, from 1, of the lessons of each day that are held here; None for all of them."""
        self.lessons = tuple(_lessons(scenario, numbers))
        self.sessions = _sessions(tuple(lesson for lesson in self.lessons if not lesson.is_exam))
        self._starts = [lesson.start_ms for lesson in self.lessons]
        self._session_starts = [session.start_ms for session in self.sessions]
        self._airing_ms = scenario.airing_min * _MINUTE
        self._times, self._shares = _presence_curve(self.lessons)
        ends = [lesson.end_ms for lesson in self.lessons]
        self._turns = sorted({*self._starts, *ends, *(end + self._airing_ms for end in ends), *self._times})

    def presence(self, at_ms: int) -> float:
        """The share of the room's pupils who are in it, from 0 to 1."""
        index = bisect.bisect_right(self._times, at_ms)
        if index in (0, len(self._times)):
            return 0.0
        before, after = self._times[index - 1], self._times[index]
        low, high = self._shares[index - 1], self._shares[index]
        return low + (high - low) * (at_ms - before) / (after - before)

    def steady_until(self, at_ms: int) -> float:
        """Until when presence, lesson, session and windows stay as they are; `at_ms` itself while people come or go."""
        index = bisect.bisect_right(self._times, at_ms)
        if 0 < index < len(self._times) and self._shares[index - 1] != self._shares[index]:
            return at_ms
        turn = bisect.bisect_right(self._turns, at_ms)
        return self._turns[turn] if turn < len(self._turns) else math.inf

    def lesson(self, at_ms: int) -> Lesson | None:
        """The lesson that is being held."""
        last = self._last(at_ms)
        return last if last is not None and last.holds(at_ms) else None

    def in_lesson(self, at_ms: int) -> bool:
        """Whether a lesson is being held."""
        return self.lesson(at_ms) is not None

    def in_session(self, at_ms: int) -> bool:
        """Whether board and projector are in use: lessons and the short breaks between them, not examinations."""
        index = bisect.bisect_right(self._session_starts, at_ms) - 1
        return index >= 0 and self.sessions[index].holds(at_ms)

    def is_aired(self, at_ms: int) -> bool:
        """Whether the windows stand open: for the scenario's minutes after a lesson, or until the next one begins."""
        last = self._last(at_ms)
        return last is not None and last.end_ms <= at_ms < last.end_ms + self._airing_ms

    def since_lesson_ms(self, at_ms: int) -> int | None:
        """How long ago the last lesson ended; None before the first, and during one."""
        last = self._last(at_ms)
        return at_ms - last.end_ms if last is not None and last.end_ms <= at_ms else None

    def _last(self, at_ms: int) -> Lesson | None:
        index = bisect.bisect_right(self._starts, at_ms) - 1
        return self.lessons[index] if index >= 0 else None


def _lessons(scenario: Scenario, numbers: Sequence[int] | None) -> Iterator[Lesson]:
    for day, date in enumerate(scenario.dates):
        bells = scenario.bells_of(date)
        for number, (start, end) in enumerate(bells.lessons, start=1):
            if numbers is None or number in numbers:
                span = (scenario.moment(start, day), scenario.moment(end, day))
                yield Lesson(*span, attendance=bells.attendance, is_exam=bells.exam)


def _sessions(lessons: tuple[Lesson, ...]) -> tuple[Span, ...]:
    sessions: list[Span] = []
    for lesson in lessons:
        if sessions and lesson.start_ms - sessions[-1].end_ms <= _LONGEST_BREAK:
            sessions[-1] = Span(sessions[-1].start_ms, lesson.end_ms)
        else:
            sessions.append(Span(lesson.start_ms, lesson.end_ms))
    return tuple(sessions)


def _presence_curve(lessons: tuple[Lesson, ...]) -> tuple[list[int], list[float]]:
    points: list[tuple[int, float]] = []
    for number, lesson in enumerate(lessons):
        before = lessons[number - 1].end_ms if number else None
        follows = before is not None and lesson.start_ms - before <= _LONGEST_BREAK
        points.append((lesson.start_ms - _ARRIVE, _STAY_IN_BREAK * lesson.attendance if follows else 0.0))
        points.append((lesson.start_ms, lesson.attendance))
        after = lessons[number + 1].start_ms if number + 1 < len(lessons) else None
        stays = after is not None and after - lesson.end_ms <= _LONGEST_BREAK
        points.append((lesson.end_ms, lesson.attendance))
        points.append((lesson.end_ms + _LEAVE, _STAY_IN_BREAK * lesson.attendance if stays else 0.0))
    return [time for time, _ in points], [share for _, share in points]
