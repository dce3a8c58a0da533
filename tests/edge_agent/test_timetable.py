"""The timetable decides how finely indoor readings are told on; its windows tile the day."""

from __future__ import annotations

import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.privacy.rules import Rule
from edge_agent.timetable import CompiledTimetable
from telemetry import PrivacyClass, quantity
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SHANGHAI, STRICT, TIMETABLE

MIDNIGHT = MONDAY_9 - 9 * HOUR
SCHOOL = dataclasses.replace(
    TIMETABLE,
    holidays=frozenset({dt.date(2025, 10, 14)}),
    make_up_days=frozenset({dt.date(2025, 10, 18), dt.date(2025, 10, 14)}),
)
HOLIDAY = dataclasses.replace(TIMETABLE, holidays=frozenset({dt.date(2025, 10, 14)}))
ZONES = ("Asia/Shanghai", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")


def length_at(hour: float, timetable: object = TIMETABLE) -> int:
    assert isinstance(timetable, type(TIMETABLE))
    return CompiledTimetable(timetable).window_at(MIDNIGHT + round(hour * HOUR))[1]


@pytest.mark.parametrize("hour", [8, 9, 10.99, 13, 15.99])
def test_in_timetable_hours_windows_are_of_15_minutes(hour: float) -> None:
    """Where every minute of the hour is in the timetable."""
    assert length_at(hour) == 900


@pytest.mark.parametrize("hour", [0, 7.99, 12, 17, 23.5])
def test_outside_them_windows_are_of_60_minutes(hour: float) -> None:
    """Night, noon and evening."""
    assert length_at(hour) == 3600


@pytest.mark.parametrize("hour", [11, 11.5, 11.99, 16, 16.49])
def test_an_hour_covered_in_part_stays_whole(hour: float) -> None:
    """A finer window would tell of minutes outside the timetable."""
    assert length_at(hour) == 3600


def test_holidays_and_make_up_days() -> None:
    """A weekend and a holiday have no lessons; a make-up day has them, whatever else it is."""
    assert length_at(5 * 24 + 9) == 3600
    assert length_at(24 + 9) == 900
    assert length_at(24 + 9, HOLIDAY) == 3600
    assert length_at(24 + 9, SCHOOL) == 900
    assert length_at(5 * 24 + 9, SCHOOL) == 900


def test_a_half_day_ends_early() -> None:
    """What follows is told as any afternoon without lessons; a half day that is none of the week's has no lessons."""
    half = dataclasses.replace(
        TIMETABLE, half_days={dt.date(2025, 10, 14): dt.time(10), dt.date(2025, 10, 18): dt.time(10)}
    )
    assert [length_at(24 + hour, half) for hour in (8, 9.9, 10, 13)] == [900, 900, 3600, 3600]
    assert length_at(2 * 24 + 13, half) == 900
    assert length_at(5 * 24 + 9, half) == 3600


def test_an_hour_is_touched_by_a_minute_of_it() -> None:
    """11:45 ends the morning: its hour is told; the noon hour is not, nor the night, nor a day without lessons."""
    compiled = CompiledTimetable(HOLIDAY)
    touched = [hour for hour in range(24) if compiled.touches(MIDNIGHT + hour * HOUR)]
    assert touched == [8, 9, 10, 11, 13, 14, 15, 16]
    assert not any(compiled.touches(MIDNIGHT + (24 + hour) * HOUR) for hour in range(24))
    kept = CompiledTimetable(dataclasses.replace(TIMETABLE, hours=()), compiled.days)
    assert kept.touches(MONDAY_9), "what was compiled is what counts"


def test_no_hour_is_touched_that_begins_when_lessons_end() -> None:
    """On a half day, or any other: outside timetable hours nothing of a room is told but what the policy names."""
    whole = dataclasses.replace(
        TIMETABLE, hours=((dt.time(8), dt.time(12)),), half_days={dt.date(2025, 10, 14): dt.time(10)}
    )
    compiled = CompiledTimetable(whole)
    for day, hours in ((0, [8, 9, 10, 11]), (1, [8, 9])):
        assert [hour for hour in range(24) if compiled.touches(MIDNIGHT + (24 * day + hour) * HOUR)] == hours


def test_an_edited_timetable_waits_for_the_next_day() -> None:
    """A day that has begun keeps its windows; what was compiled is what counts."""
    compiled = CompiledTimetable(TIMETABLE)
    assert compiled.window_at(MONDAY_9)[1] == 900
    edited = CompiledTimetable(dataclasses.replace(TIMETABLE, hours=()), compiled.days)
    assert edited.window_at(MONDAY_9)[1] == 900
    assert edited.window_at(MONDAY_9 + 24 * HOUR)[1] == 3600


def test_the_hours_may_last_to_midnight() -> None:
    """24:00 is the end of a day: its last hour is covered."""
    late = dataclasses.replace(TIMETABLE, hours=((dt.time(20), dt.time.max),))
    assert length_at(23.9, late) == 900


def test_the_day_begins_at_local_midnight() -> None:
    """Windows of class D(b) are the school's days."""
    assert TIMETABLE.day_start(MONDAY_9) == MIDNIGHT
    assert TIMETABLE.day_start(MIDNIGHT) == MIDNIGHT
    assert TIMETABLE.day_start(MIDNIGHT - 1) == MIDNIGHT - 24 * HOUR


@given(
    st.integers(1_600_000_000_000, 1_900_000_000_000),
    st.sampled_from(ZONES),
    st.sampled_from([PrivacyClass.E, PrivacyClass.P1, PrivacyClass.DA, PrivacyClass.DB]),
    st.sampled_from(["temperature", "power", "battery", "fault"]),
)
def test_windows_tile_time(moment: int, zone: str, privacy_class: PrivacyClass, name: str) -> None:
    """Every moment lies in its window, all moments of a window name the same one, and the next begins at its end."""
    timetable = CompiledTimetable(dataclasses.replace(TIMETABLE, zone=ZoneInfo(zone)))
    rule = Rule(quantity(name), privacy_class, STRICT)
    start_ms, length_s = rule.window_at(moment, timetable)
    end_ms = start_ms + length_s * 1000
    assert start_ms <= moment < end_ms
    for inside in (start_ms, (start_ms + end_ms) // 2, end_ms - 1):
        assert rule.window_at(inside, timetable) == (start_ms, length_s)
    assert rule.window_at(end_ms, timetable)[0] == end_ms
    before_ms, before_s = rule.window_at(start_ms - 1, timetable)
    assert before_ms + before_s * 1000 == start_ms


@given(st.integers(1_600_000_000_000, 1_900_000_000_000), st.sampled_from(ZONES))
def test_fine_windows_lie_in_lesson_time(moment: int, zone: str) -> None:
    """No window of 15 minutes has a minute outside the timetable, in any zone."""
    timetable = dataclasses.replace(SCHOOL, zone=ZoneInfo(zone))
    start_ms, length_s = CompiledTimetable(timetable).window_at(moment)
    if length_s == 900:
        for inside in range(start_ms, start_ms + 15 * MINUTE, MINUTE):
            local = dt.datetime.fromtimestamp(inside / 1000, ZoneInfo(zone))
            assert timetable.is_school_day(local.date())
            assert any(begin <= local.time() < end for begin, end in timetable.hours)


def test_the_zone_is_the_schools() -> None:
    """Nine in Shanghai is one in the night of UTC."""
    assert dt.datetime.fromtimestamp(MONDAY_9 / 1000, SHANGHAI).hour == 9


class TestTheHoursThatAReportTells:
    def test_a_school_day_tells_its_own_hours_and_when_the_next_begins(self) -> None:
        hours = CompiledTimetable(TIMETABLE).hours(MONDAY_9)
        assert hours.day == MIDNIGHT // DAY + 1, "of universal time: eight in Shanghai is midnight there"
        assert hours.next_ms == MIDNIGHT + 24 * HOUR + 8 * HOUR
        told = {hour for hour in range(24) if (hours.hours | hours.hours >> 24) >> hour & 1}
        assert told == {
            hour - 8 for hour in range(8, 24) if CompiledTimetable(TIMETABLE).touches(MIDNIGHT + hour * HOUR)
        }
        whole = {hour for hour in range(24) if hours.hours >> hour & 1}
        assert whole == {hour - 8 for hour in range(8, 24) if length_at(hour) == 900}

    def test_a_weekend_tells_of_the_last_school_day_and_holidays_are_passed_over(self) -> None:
        compiled = CompiledTimetable(HOLIDAY)
        saturday = compiled.hours(MIDNIGHT + 5 * 24 * HOUR + 12 * HOUR)
        assert saturday.day == MIDNIGHT // DAY + 5
        assert saturday.next_ms == MIDNIGHT + (7 * 24 + 8) * HOUR
        assert compiled.hours(MONDAY_9).next_ms == MIDNIGHT + (2 * 24 + 8) * HOUR

    def test_in_long_holidays_none_is_near(self) -> None:
        none = dataclasses.replace(TIMETABLE, weekdays=frozenset())
        hours = CompiledTimetable(none).hours(MONDAY_9)
        assert (hours.day, hours.hours) == (0, 0)
        assert hours.next_ms == (MONDAY_9 // DAY + 7) * DAY

    def test_looking_ahead_binds_no_day_and_what_is_bound_is_told(self) -> None:
        """An edit of the timetable takes effect with the next day, and not later because somebody has looked."""
        compiled = CompiledTimetable(TIMETABLE)
        compiled.hours(MONDAY_9)
        assert compiled.days == {}
        bound = CompiledTimetable(TIMETABLE, {MIDNIGHT // DAY + 1: 1 << 3})
        assert bound.hours(MONDAY_9).hours == 1 << 3
