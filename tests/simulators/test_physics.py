from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simulators.campus import Campus
from simulators.growing import with_rooms
from simulators.physics import (
    CO2_OUTSIDE_PPM,
    CO2_PER_PERSON_M3_S,
    QUIET_DB,
    STEP_MS,
    Air,
    Exchange,
    Use,
    co2_generation_m3_s,
    co2_steady_state_ppm,
    exchange,
    saturation_g_m3,
    sound_db,
    step_air,
    step_room,
)
from simulators.scenarios import load

if TYPE_CHECKING:
    from simulators.scenarios import Scenario

OUTSIDE = Air(co2_ppm=CO2_OUTSIDE_PPM, temperature_c=15.0, vapour_g_m3=8.0, pm25=40.0)


def after(seconds: float, use: Use, *, steps: int = 1) -> Air[float]:
    air = Air(co2_ppm=500.0, temperature_c=20.0, vapour_g_m3=8.0, pm25=20.0)
    for _ in range(steps):
        step_room(air, 200.0, use, OUTSIDE, seconds / steps)
    return air


def test_co2_comes_to_rest_where_the_mass_balance_says() -> None:
    use = Use(people=40, air_changes_per_h=2.0)
    produced_ppm_m3_per_h = 40 * CO2_PER_PERSON_M3_S * 3600 * 1e6
    expected = CO2_OUTSIDE_PPM + produced_ppm_m3_per_h / (200.0 * 2.0)
    assert after(48 * 3600, use).co2_ppm == pytest.approx(expected)
    assert co2_steady_state_ppm(people=40, volume_m3=200.0, air_changes_per_h=2.0) == pytest.approx(expected)


def test_co2_of_an_empty_room_decays_with_the_air_change() -> None:
    air = after(3600, Use(people=0, air_changes_per_h=1.5))
    assert air.co2_ppm - CO2_OUTSIDE_PPM == pytest.approx((500.0 - CO2_OUTSIDE_PPM) * math.exp(-1.5))


def test_first_minutes_of_a_lesson_gain_what_is_breathed_out() -> None:
    """With next to no air change the gain is production over volume, whatever the solver."""
    air = after(600, Use(people=30, air_changes_per_h=1e-6))
    assert air.co2_ppm - 500.0 == pytest.approx(30 * CO2_PER_PERSON_M3_S * 600 / 200.0 * 1e6, rel=1e-3)


def test_a_step_may_be_cut_into_many() -> None:
    use = Use(people=25, air_changes_per_h=3.0, heat_w=700.0)
    whole, parts = after(1800, use), after(1800, use, steps=180)
    assert (parts.co2_ppm, parts.temperature_c, parts.pm25) == pytest.approx(
        (whole.co2_ppm, whole.temperature_c, whole.pm25)
    )


def test_people_and_machines_warm_a_room_and_moisten_it() -> None:
    empty = after(7200, Use(people=0, air_changes_per_h=2.0))
    full = after(7200, Use(people=40, air_changes_per_h=2.0, heat_w=1000.0))
    assert 1.0 < full.temperature_c - empty.temperature_c < 15.0
    assert full.vapour_g_m3 > empty.vapour_g_m3 + 2.0


def test_pm25_indoors_settles_below_that_outdoors() -> None:
    air = after(48 * 3600, Use(people=0, air_changes_per_h=1.0))
    assert 0.4 * OUTSIDE.pm25 < air.pm25 < 0.75 * OUTSIDE.pm25


@pytest.mark.parametrize(("temperature_c", "grams"), [(0.0, 4.85), (20.0, 17.3), (30.0, 30.4)])
def test_saturation_agrees_with_the_tables(temperature_c: float, grams: float) -> None:
    assert saturation_g_m3(temperature_c) == pytest.approx(grams, rel=0.01)


def test_every_room_stays_within_what_a_school_is_like(school_day: Scenario) -> None:
    campus = Campus(school_day, seed=5)
    for at_ms in range(school_day.start_ms, school_day.end_ms + 1, 60_000):
        campus.advance(at_ms)
        for room in campus.rooms.values():
            air = room.air
            assert CO2_OUTSIDE_PPM - 1 <= air.co2_ppm < 3500
            assert 8 < air.temperature_c < 36
            assert 15 < air.humidity <= 99
            assert 0 < air.pm25 < 120
            assert 0 <= room.people <= room.model.pupils
            assert 0 <= room.illuminance_lx < 120_000


def test_co2_rises_in_every_lesson_and_falls_in_the_midday_break(school_day: Scenario) -> None:
    campus = Campus(school_day, seed=5)
    room = campus.rooms["a-101"]
    for lesson in room.timetable.lessons:
        campus.advance(lesson.start_ms)
        before = room.air.co2_ppm
        campus.advance(lesson.end_ms)
        assert room.air.co2_ppm > before + 200
        if lesson.end_ms == school_day.moment("11:30"):
            campus.advance(school_day.moment("12:30"))
            assert room.air.co2_ppm < 800


def test_campus_moves_in_whole_steps_however_it_is_asked(school_day: Scenario) -> None:
    hurried, patient = Campus(school_day, seed=9), Campus(school_day, seed=9)
    end_ms = school_day.start_ms + 45 * 60_000
    hurried.advance(end_ms + STEP_MS - 1)
    for at_ms in range(school_day.start_ms, end_ms + 1, 777):
        patient.advance(at_ms)
    patient.advance(end_ms)
    for code, room in hurried.rooms.items():
        assert room.air == patient.rooms[code].air


def test_power_follows_the_timetable(school_day: Scenario) -> None:
    campus = Campus(school_day, seed=5)
    room = campus.rooms["a-101"]
    campus.advance(school_day.moment("08:20"))
    in_lesson = room.power_w
    campus.advance(school_day.moment("12:15"))
    assert in_lesson > 900
    assert room.power_w < 50


def test_breath_is_that_of_persily_and_de_jonge() -> None:
    """By hand: basal rates of 6.824 and 5.978 MJ a day for a boy and a girl of 55 kg, times 1.2."""
    litres_s = 0.85 * (6.824 + 5.978) / 2 * 1.2 * 295.15 / 101.3 * 0.000211
    assert 1000 * co2_generation_m3_s(body_kg=55.0, met=1.2) == pytest.approx(litres_s)
    assert 0.0035 < litres_s < 0.0045
    assert co2_generation_m3_s(met=2.8) == pytest.approx(2 * co2_generation_m3_s(met=1.4))


def test_one_talker_and_a_crowd_are_as_loud_as_sabine_says() -> None:
    assert sound_db(talkers=0, volume_m3=200) == QUIET_DB
    absorption_m2 = 0.16 * 200 / 0.7
    assert sound_db(talkers=1, volume_m3=200) == pytest.approx(74 + 10 * math.log10(4 / absorption_m2), abs=0.1)
    assert sound_db(talkers=8, volume_m3=200) - sound_db(talkers=4, volume_m3=200) == pytest.approx(3.01, abs=0.05)


def test_rooms_in_arrays_and_one_room_alone_are_the_same_to_the_last_bit() -> None:
    rows = [(200.0, 1.5, 30.0, 700.0), (60.0, 14.0, 0.0, 640.0), (320.0, 7.0, 12.0, 900.0)]
    starts = (Air(500.0, 20.0, 8.0, 20.0), Air(410.0, 17.5, 6.0, 3.0), Air(1900.0, 24.0, 11.0, 41.0))
    made = [exchange(volume, changes, 10.0) for volume, changes, _, _ in rows]
    together = Exchange(*(np.array([getattr(each, name) for each in made]) for name in Exchange.__slots__))
    fields = ("co2_ppm", "temperature_c", "vapour_g_m3", "pm25")
    air = Air(*(np.array([getattr(each, name) for each in starts]) for name in fields))
    people, heat_w = (np.array([row[place] for row in rows]) for place in (2, 3))
    for _ in range(500):
        step_air(air, together, people, heat_w, OUTSIDE)
    for place, (alone, by) in enumerate(zip(starts, made, strict=True)):
        for _ in range(500):
            step_air(alone, by, float(people[place]), float(heat_w[place]), OUTSIDE)
        assert [float(getattr(air, name)[place]) for name in fields] == [getattr(alone, name) for name in fields]


def test_heating_holds_a_room_in_use_and_leaves_an_empty_one_alone() -> None:
    week = with_rooms(load("winter-week").model_copy(update={"date": dt.date(2025, 12, 31)}), 1)
    campus = Campus(week, seed=2)
    room = campus.rooms["a-101"]
    campus.advance(week.moment("11:10"))
    in_use = room.air.temperature_c
    campus.advance(week.moment("06:00", 2))  # the second day of the holiday
    assert 15 < in_use < 24
    assert room.air.temperature_c < in_use - 4


def test_an_examination_is_silent_and_dark_and_airless() -> None:
    week = load("exam-week")
    campus = Campus(week, seed=2)
    room = campus.rooms["a-101"]
    campus.advance(week.moment("09:00"))
    lesson = room.timetable.lesson(room.now_ms)
    assert lesson is not None
    assert lesson.is_exam
    assert room.people > 10
    assert room.sound_db == QUIET_DB
    assert room.power_w < 500
