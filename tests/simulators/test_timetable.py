from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.timetable import RoomDay

if TYPE_CHECKING:
    from simulators.scenarios import Scenario


@pytest.fixture
def day(school_day: Scenario) -> RoomDay:
    return RoomDay(school_day, next(room for room in school_day.room if room.code == "a-101"))


@pytest.mark.parametrize(
    ("time_of_day", "share"),
    [("07:54", 0.0), ("08:00", 1.0), ("08:40", 1.0), ("08:44", 0.3), ("12:15", 0.0), ("14:00", 1.0), ("16:30", 0.0)],
)
def test_presence_follows_the_lessons(school_day: Scenario, day: RoomDay, time_of_day: str, share: float) -> None:
    assert day.presence(school_day.moment(time_of_day)) == pytest.approx(share)


def test_short_breaks_keep_a_session_together_and_midday_ends_it(school_day: Scenario, day: RoomDay) -> None:
    spans = [(span.start_ms, span.end_ms) for span in day.sessions]
    moment = school_day.moment
    assert spans == [(moment("08:00"), moment("11:30")), (moment("13:00"), moment("16:15"))]


def test_windows_are_opened_after_a_lesson_and_shut_in_the_next(school_day: Scenario, day: RoomDay) -> None:
    assert day.is_aired(school_day.moment("08:45"))
    assert not day.is_aired(school_day.moment("08:50"))
    assert not day.is_aired(school_day.moment("09:45"))


def test_a_room_without_pupils_has_no_lessons(school_day: Scenario) -> None:
    plant = next(room for room in school_day.room if room.code == "plant")
    assert RoomDay(school_day, plant).lessons == ()
