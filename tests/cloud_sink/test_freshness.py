"""What a number is worth: by its age in windows, and of rooms by the windows that timetable hours should have had."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cloud_sink.freshness import Air, Freshness, Judge, span_in_hours
from cloud_sink.hours import KEPT_DAYS, Hours
from cloud_sink.latest import RoomNow
from edge_agent.timetable import CompiledTimetable, Timetable
from telemetry.policy import load_policy
from telemetry.spans import Span
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, report, summary

HOUR_MS = 4 * QUARTER_MS
MONDAY_MS = NOON_MS + 12 * HOUR_MS
"""Its first moment: NOON_MS is a Sunday's noon."""
STRICT, DEMO = (load_policy(name, Path()) for name in ("strict", "demo"))
TIMETABLE = Timetable(
    zone=ZoneInfo("Asia/Shanghai"),
    weekdays=frozenset(range(5)),
    hours=((dt.time(8), dt.time(11, 45)), (dt.time(13, 30), dt.time(16))),
)


def at(text: str, day: int = 0) -> int:
    """That time of the day on Monday, or on a later day."""
    hours, minutes = map(int, text.split(":"))
    return MONDAY_MS + (24 * day + hours) * HOUR_MS + minutes * 60_000


def hours_at(*moments: int, timetable: Timetable = TIMETABLE) -> Hours:
    """As reports of these moments tell them."""
    hours, compiled = Hours(), CompiledTimetable(timetable)
    for moment in moments:
        told = compiled.hours(moment)
        hours.take(report(time_ms=moment, hours_day=told.day, hours=told.hours, hours_next_ms=told.next_ms), moment)
    return hours


def judge(now_ms: int, hours: Hours | None = None) -> Judge:
    return Judge(now_ms, hours or Hours(), STRICT)


def state_of(told: tuple[int, int], now_ms: int, quantity: str = "carbon_dioxide", *, heard_ms: int = 0) -> Freshness:
    """Of a window with this start and length; the agent was heard until then, or now."""
    hours = hours_at(MONDAY_MS, heard_ms or now_ms)
    return judge(now_ms, hours).freshness(summary(quantity, told[0], {"mean": 20}, window_s=told[1]))


@pytest.mark.parametrize(
    ("windows", "state"),
    [
        (0, Freshness.FRESH),
        (2.24, Freshness.FRESH),
        (2.25, Freshness.LATE),
        (10.24, Freshness.LATE),
        (10.25, Freshness.STALE),
    ],
)
def test_freshness_counts_from_the_end_of_the_window_in_windows_with_a_quarter_of_an_hour_of_grace(
    windows: float, state: Freshness
) -> None:
    hour = summary(window_s=3600)
    assert judge(hour.end_ms + int(windows * HOUR_MS)).freshness(hour) is state
    minute = summary(window_s=60)
    assert judge(minute.end_ms + 16 * 60_000).freshness(minute) is Freshness.FRESH
    assert judge(minute.end_ms + 25 * 60_000).freshness(minute) is Freshness.STALE


def test_what_never_was_is_never_fresh_and_a_room_is_as_its_oldest_main_quantity() -> None:
    later = judge(NOON_MS + 20 * QUARTER_MS)
    assert judge(NOON_MS).freshness(None) is Freshness.NEVER
    room = RoomNow()
    assert room.freshness(later) is Freshness.NEVER
    room.take(summary("battery", fields={"mean": 80}))
    assert room.freshness(later) is Freshness.STALE
    room.take(summary("temperature", NOON_MS + 19 * QUARTER_MS, {"mean": 2000}))
    assert room.freshness(later) is Freshness.FRESH, "a main quantity counts, others do not"
    room.take(summary("humidity", NOON_MS + 14 * QUARTER_MS, {"mean": 500}))
    assert room.freshness(later) is Freshness.LATE


@pytest.mark.parametrize(("mean", "needs"), [(800, Air.GOOD), (850, Air.WATCH), (1000, Air.WATCH), (1050, Air.ACT)])
def test_air_is_judged_by_the_limit_of_the_standard(mean: int, needs: Air) -> None:
    assert judge(NOON_MS + QUARTER_MS).air(summary(fields={"mean": mean})) is needs


def test_stale_air_is_not_judged_and_a_room_without_a_sensor_has_none() -> None:
    assert judge(NOON_MS + 12 * QUARTER_MS).air(summary(fields={"mean": 2000})) is Air.UNKNOWN
    assert judge(NOON_MS).air(None) is Air.NONE


@pytest.mark.parametrize("now", ["16:46", "20:00", "23:59", "27:00"])
def test_a_room_that_told_all_of_its_timetable_hours_is_quiet_until_more_is_due(now: str) -> None:
    last = at("15:45"), 900
    assert state_of(last, at("16:44")) is Freshness.FRESH
    assert state_of(last, at(now)) is Freshness.QUIET
    assert judge(at(now), hours_at(at(now))).air(summary(start_ms=last[0], fields={"mean": 1500})) is Air.QUIET


def test_a_weekend_and_a_holiday_are_quiet_too() -> None:
    assert state_of((at("15:45", 4), 900), at("12:00", 6), heard_ms=at("12:00", 6)) is Freshness.QUIET
    off = Timetable(TIMETABLE.zone, TIMETABLE.weekdays, TIMETABLE.hours, frozenset({dt.date(2025, 10, 14)}))
    hours = hours_at(at("18:00"), at("11:00", 1), timetable=off)
    assert judge(at("11:00", 1), hours).freshness(summary(start_ms=at("15:45"))) is Freshness.QUIET


@pytest.mark.parametrize(
    ("now", "state"),
    [("8:29", Freshness.QUIET), ("8:44", Freshness.QUIET), ("8:45", Freshness.LATE), ("10:45", Freshness.STALE)],
)
def test_in_the_morning_a_room_that_stays_silent_is_late_and_then_stale(now: str, state: Freshness) -> None:
    assert state_of((at("15:45"), 900), at(now, 1)) is state


def test_a_room_that_fell_silent_within_timetable_hours_stays_late_all_night() -> None:
    assert state_of((at("14:15"), 900), at("15:15")) is Freshness.LATE
    assert state_of((at("14:15"), 900), at("23:00")) is Freshness.LATE
    assert state_of((at("9:45"), 900), at("23:00")) is Freshness.STALE


@pytest.mark.parametrize("now", ["11:50", "12:14", "12:44", "13:45"])
def test_an_hour_that_lessons_touch_in_part_is_one_window_and_lacks_nothing_before_it_is_over(now: str) -> None:
    state = state_of((at("10:45"), 900), at(now))
    assert state is (Freshness.FRESH if now == "11:50" else Freshness.QUIET)
    assert state_of((at("11:00"), 3600), at("14:15")) is Freshness.QUIET
    assert state_of((at("11:00"), 3600), at("15:15")) is Freshness.LATE


@pytest.mark.parametrize("quantity", ["pm25", "atmospheric_pressure"])
def test_what_the_policy_tells_at_all_times_is_late_at_any_hour(quantity: str) -> None:
    assert state_of((at("19:00"), 3600), at("22:14")) is Freshness.FRESH
    assert state_of((at("19:00"), 3600), at("22:15"), quantity) is Freshness.LATE


def test_an_agent_that_is_silent_since_the_evening_leaves_rooms_stale_by_the_morning() -> None:
    """It told when hours begin again: nothing has to come for that to be so."""
    last, heard_ms = (at("15:45", 4), 900), at("18:00", 4)
    assert state_of(last, at("12:00", 6), heard_ms=heard_ms) is Freshness.QUIET
    assert state_of(last, at("11:00", 7), heard_ms=heard_ms) is Freshness.STALE


def test_a_school_whose_agent_tells_no_hours_is_judged_by_the_clock() -> None:
    hours = Hours()
    hours.take(report(time_ms=at("20:00")), at("20:00"))
    assert judge(at("20:00"), hours).freshness(summary(start_ms=at("15:45"))) is Freshness.STALE


@pytest.mark.parametrize(
    ("quantity", "window_s", "span"),
    [
        ("carbon_dioxide", 900, Span.TIMETABLE),
        ("carbon_dioxide", 3600, Span.TIMETABLE),
        ("power", 3600, Span.HOUR),
        ("battery", 900, Span.QUARTER),
        ("fault", 3600, Span.HOUR),
        ("carbon_dioxide", 60, None),
        ("power", 86_400, None),
        ("pm10", 900, None),
        ("people_count", 3600, None),
        ("smoke", 1, None),
    ],
)
def test_what_is_told_in_timetable_hours_alone_follows_from_the_policy(
    quantity: str, window_s: int, span: Span | None
) -> None:
    assert span_in_hours(STRICT, quantity, window_s) is span
    assert span_in_hours(DEMO, quantity, window_s) is None


def test_a_smoke_sensor_that_had_nothing_to_tell_makes_no_room_stale() -> None:
    """It tells when its state changes, and its battery by the day: that is what is due."""
    room, tomorrow_ms = RoomNow(), NOON_MS + 24 * HOUR_MS
    room.take(summary("smoke", NOON_MS, {"last": 0}, window_s=1))
    assert room.freshness(judge(tomorrow_ms)) is Freshness.STALE, "nothing says that it is there"
    room.take(summary("battery", NOON_MS - 12 * HOUR_MS, window_s=86_400))
    assert room.freshness(judge(tomorrow_ms)) is Freshness.FRESH
    assert room.freshness(judge(tomorrow_ms + 20 * 24 * HOUR_MS)) is Freshness.STALE


def test_days_long_past_are_forgotten() -> None:
    hours = hours_at(*(at("9:00", day) for day in range(KEPT_DAYS + 7)))
    assert hours.missed(at("0:00"), at("0:00", 4), Span.HOUR, 1000) == 0
    assert hours.missed(at("0:00", 7), at("0:00", 14), Span.HOUR, 1000) == 5 * 7, "an hour is due that lessons touch"


def test_an_agent_whose_clock_is_far_ahead_hides_nothing() -> None:
    """What it says of days to come does not count, and pushes out nothing that is known."""
    hours, now_ms = hours_at(at("9:00")), at("9:00", 1)
    ahead = at("9:00", 400)
    hours.take(report(time_ms=ahead, hours_day=ahead // (24 * HOUR_MS), hours=1, hours_next_ms=ahead), now_ms)
    hours.note(ahead // (24 * HOUR_MS), 1, now_ms)
    assert judge(at("20:00", 1), hours).freshness(summary(start_ms=at("15:45"))) is Freshness.STALE
    assert not hours.was_outside(ahead, ahead + 1), "of that day nothing is known but that hours began before it"


def test_an_agent_whose_clock_was_ahead_is_heard_when_it_is_right() -> None:
    """By less than a day, which is believed; the right report that follows counts for more, at once."""
    hours, day = Hours(), at("0:00") // (24 * HOUR_MS)
    hours.take(report(time_ms=at("20:00"), hours_day=day, hours=1, hours_next_ms=at("0:00", 3)), at("9:00"))
    hours.take(report(time_ms=at("9:05"), hours_day=day, hours=1, hours_next_ms=at("0:00", 1)), at("9:05"))
    assert hours.is_outside(at("23:59"))
    assert not hours.is_outside(at("8:00", 1))
