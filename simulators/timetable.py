"""One school day as rooms live it: who is where, what is switched on, when windows are opened."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simulators.scenarios import RoomModel, Scenario

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


class RoomDay:
    """The lessons of one room on one day."""

    def __init__(self, scenario: Scenario, room: RoomModel) -> None:
        numbers = room.lessons if room.lessons is not None else range(1, len(scenario.lessons) + 1)
        self.lessons = tuple(
            Span(*(scenario.moment(text) for text in scenario.lessons[number - 1]))
            for number in (sorted(set(numbers)) if room.pupils else ())
        )
        self.sessions = _sessions(self.lessons)
        self._times, self._shares = _presence_curve(self.lessons)

    def presence(self, at_ms: int) -> float:
        """The share of the room's pupils who are in it, from 0 to 1."""
        index = bisect.bisect_right(self._times, at_ms)
        if index in (0, len(self._times)):
            return 0.0
        before, after = self._times[index - 1], self._times[index]
        low, high = self._shares[index - 1], self._shares[index]
        return low + (high - low) * (at_ms - before) / (after - before)

    def in_lesson(self, at_ms: int) -> bool:
        """Whether a lesson is being held."""
        return any(lesson.holds(at_ms) for lesson in self.lessons)

    def in_session(self, at_ms: int) -> bool:
        """Whether the room is in use: lessons and the short breaks between them."""
        return any(session.holds(at_ms) for session in self.sessions)

    def is_aired(self, at_ms: int) -> bool:
        """Whether the windows stand open: in the ten minutes after a lesson, or until the next one begins."""
        if self.in_lesson(at_ms):
            return False
        return any(lesson.end_ms <= at_ms < lesson.end_ms + 10 * _MINUTE for lesson in self.lessons)


def _sessions(lessons: tuple[Span, ...]) -> tuple[Span, ...]:
    sessions: list[Span] = []
    for lesson in lessons:
        if sessions and lesson.start_ms - sessions[-1].end_ms <= _LONGEST_BREAK:
            sessions[-1] = Span(sessions[-1].start_ms, lesson.end_ms)
        else:
            sessions.append(lesson)
    return tuple(sessions)


def _presence_curve(lessons: tuple[Span, ...]) -> tuple[list[int], list[float]]:
    points: list[tuple[int, float]] = []
    for number, lesson in enumerate(lessons):
        before = lessons[number - 1].end_ms if number else None
        follows = before is not None and lesson.start_ms - before <= _LONGEST_BREAK
        points.append((lesson.start_ms - _ARRIVE, _STAY_IN_BREAK if follows else 0.0))
        points.append((lesson.start_ms, 1.0))
        after = lessons[number + 1].start_ms if number + 1 < len(lessons) else None
        stays = after is not None and after - lesson.end_ms <= _LONGEST_BREAK
        points.append((lesson.end_ms, 1.0))
        points.append((lesson.end_ms + _LEAVE, _STAY_IN_BREAK if stays else 0.0))
    return [time for time, _ in points], [share for _, share in points]
