from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.scenarios import load
from simulators.timetable import RoomTimetable

if TYPE_CHECKING:
    from simulators.scenarios import Scenario


@pytest.fixture
def day(school_day: Scenario) -> RoomTimetable:
    return RoomTimetable(school_day, None)


@pytest.mark.parametrize(
    ("time_of_day", "share"),
    [("07:54", 0.0), ("08:00", 1.0), ("08:40", 1.0), ("08:44", 0.3), ("12:15", 0.0), ("14:00", 1.0), ("16:30", 0.0)],
)
def test_presence_follows_the_lessons(school_day: Scenario, day: RoomTimetable, time_of_day: str, share: float) -> None:
    assert day.presence(school_day.moment(time_of_day)) == pytest.approx(share)


def test_short_breaks_keep_a_session_together_and_midday_ends_it(school_day: Scenario, day: RoomTimetable) -> None:
    spans = [(span.start_ms, span.end_ms) for span in day.sessions]
    moment = school_day.moment
    assert spans == [(moment("08:00"), moment("11:30")), (moment("13:00"), moment("16:15"))]


def test_windows_are_opened_after_a_lesson_and_shut_in_the_next(school_day: Scenario, day: RoomTimetable) -> None:
    assert day.is_aired(school_day.moment("08:45"))
    assert not day.is_aired(school_day.moment("08:50"))
    assert not day.is_aired(school_day.moment("09:45"))


def test_a_room_without_pupils_has_no_lessons(school_day: Scenario) -> None:

    assert RoomTimetable(school_day, ()).lessons == ()


def test_a_week_has_a_half_day_a_holiday_and_a_day_made_up_for() -> None:
    """29 December 2025 was a Monday; the State Council gave 1 to 3 January and took Sunday the 4th."""
    week = load("winter-week")
    lessons = [len(week.bells_of(date).lessons) for date in week.dates]
    assert lessons == [8, 8, 4, 0, 0, 0, 8]
    rooms = RoomTimetable(week, None)
    assert len(rooms.lessons) == sum(lessons)
    assert rooms.in_lesson(week.moment("08:10", 6))
    assert not rooms.in_lesson(week.moment("08:10", 4))
    assert rooms.presence(week.moment("13:30", 2)) == 0.0
    assert rooms.presence(week.moment("13:30", 1)) == 1.0


def test_fewer_come_to_an_examination_and_no_window_is_opened_for_long() -> None:
    week = load("exam-week")
    rooms = RoomTimetable(week, None)
    at_ms = week.moment("09:00")
    lesson = rooms.lesson(at_ms)
    assert lesson is not None
    assert (lesson.is_exam, rooms.presence(at_ms)) == (True, 0.67)
    assert not rooms.in_session(at_ms)
    friday = week.moment("09:00", 4)
    assert rooms.in_session(friday)
    assert rooms.presence(friday) == 1.0


def test_time_since_a_lesson_runs_from_its_end(school_day: Scenario, day: RoomTimetable) -> None:
    assert day.since_lesson_ms(school_day.moment("07:50")) is None
    assert day.since_lesson_ms(school_day.moment("08:10")) is None
    assert day.since_lesson_ms(school_day.moment("12:30")) == 3_600_000


@pytest.mark.parametrize("name", ["school-day", "exam-week", "vr-lesson"])
def test_what_is_said_to_be_steady_is(name: str) -> None:
    scenario = load(name)
    rooms = RoomTimetable(scenario, None)
    steady = 0
    for at_ms in range(scenario.start_ms, min(scenario.end_ms, scenario.start_ms + 86_400_000), 60_000):
        until_ms = min(rooms.steady_until(at_ms), scenario.end_ms)
        last_ms = max(at_ms, int(until_ms) - 1)
        steady += last_ms > at_ms
        for moment in (last_ms, (at_ms + last_ms) // 2):
            assert _all_of(rooms, moment) == _all_of(rooms, at_ms)
    assert steady > 100


def _all_of(rooms: RoomTimetable, at_ms: int) -> tuple[object, ...]:
    lesson, is_aired = rooms.lesson(at_ms), rooms.is_aired(at_ms)
    return rooms.presence(at_ms), lesson, is_aired, rooms.in_session(at_ms)
