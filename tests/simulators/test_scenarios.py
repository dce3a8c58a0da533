from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from simulators import scenarios
from simulators.kinds import Kind
from simulators.scenarios import Scenario, ScenarioInvalid, load, names

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """
title = "Small"
district = "d"
school = "s"
timezone = "Asia/Shanghai"
date = 2026-10-12
starts = "08:00"
ends = "09:00"
lessons = [["08:05", "08:45"]]

[timetable]
days = ["mon"]
hours = [["08:00", "09:00"]]

[weather]
temperature_c = 18
swing_c = 4
humidity = 60
pm25 = 30

[[room]]
code = "r-1"
building = "a"
pupils = 30

[[device]]
id = "co2-1"
room = "r-1"
kind = "air"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_school_day_is_a_monday_of_twelve_rooms_and_about_forty_devices(school_day: Scenario) -> None:
    kinds = Counter(device.kind for device in school_day.device)
    assert len(school_day.room) == 12
    assert 38 <= len(school_day.device) <= 45
    assert school_day.date.weekday() == 0
    assert (kinds[Kind.AIR], kinds[Kind.PROJECTOR], kinds[Kind.VR]) == (10, 8, 6)
    assert {room.placement.value for room in school_day.room} == {"indoor", "outdoor", "plant"}


def test_day_begins_and_ends_on_a_window_in_local_time(school_day: Scenario) -> None:
    assert school_day.start_ms == int(dt.datetime(2026, 10, 11, 23, 45, tzinfo=dt.UTC).timestamp()) * 1000
    assert school_day.end_ms - school_day.start_ms == 9.5 * 3600 * 1000
    assert school_day.start_ms % 900_000 == 0


def test_every_scenario_that_ships_is_valid() -> None:
    assert "school-day" in scenarios.names()
    for name in scenarios.names():
        assert load(name).name == name


def test_a_file_of_ones_own_is_a_scenario_too(tmp_path: Path) -> None:
    assert load(write(tmp_path, SMALL)).device[0].stated_role == "room_sensor"


def test_unknown_name_says_which_there_are() -> None:
    with pytest.raises(ScenarioInvalid) as caught:
        load("nope")
    assert "school-day" in caught.value.fix


def test_every_mistake_of_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = SMALL.replace('kind = "air"', 'kind = "aer"').replace("humidity = 60", "humidity = 600")
    with pytest.raises(ScenarioInvalid) as caught:
        load(write(tmp_path, text + "colour = 1\n"))
    lines = {int(mistake.split(":")[1]) for mistake in caught.value.mistakes}
    expected = {number for number, line in enumerate(text.split("\n"), 1) if "aer" in line or "600" in line}
    assert lines == {*expected, text.count("\n") + 1}


@pytest.mark.parametrize(
    ("old", "new", "what", "line"),
    [
        ('room = "r-1"', 'room = "r-9"', "which is not there", 'room = "r-9"'),
        ('id = "co2-1"', 'id = "co2-1"\ncadence_s = 7', "does not divide 900", "cadence_s"),
        ('starts = "08:00"', 'starts = "08:10"', "quarter of an hour", "starts"),
        ('ends = "09:00"', 'ends = "09:10"', "quarter of an hour", "ends"),
        ('ends = "09:00"', 'ends = "08:00"', "not after starts 08:00", "ends"),
        ("pupils = 30", "pupils = 30\nlessons = [2]", "has lesson 2", "lessons = [2]"),
        ('["08:05", "08:45"]', '["08:45", "08:05"]', "not times in order", "lessons"),
        ('["08:05", "08:45"]', '["08:05", "08:45"], ["08:40", "08:50"]', "not times in order", "lessons"),
        ("date = 2026-10-12", "date = 2026-10-12\ndays = 99", "days: has to be 31 or less", "days = 99"),
        ('starts = "08:00"', 'starts = "8:00"', "starts: a time of day is written HH:MM", "starts"),
        ("2026-10-12", "9999-12-31", "date: has to be 2099-12-31 or less", "date"),
        ('days = ["mon"]', 'days = ["mon"]\nholidays = ["2026-13-45"]', r"timetable.holidays\[1\]", "holidays"),
        ('[["08:00", "09:00"]]', '[["09:00", "08:00"]]', "timetable.hours: hours are pairs", "hours"),
        ("[timetable]", '[[bells]]\non = ["mo"]\nlessons = []\n[timetable]', r"bells\[1\].on\[1\]: a day is", "on"),
        ("pupils = 30", "pupil = 30", r"room\[1\].pupil: no such key; did you mean 'pupils'", "pupil"),
        ('"Asia/Shanghai"', '"Asia/Atlantis"', "timezone: .*not in the time zone database", "timezone"),
        (
            "[[device]]",
            '[[alarm]]\ndevice = "co2-1"\nat = "08:10"\nminutes = 3\n\n[[device]]',
            "not a smoke or leak",
            'device = "co2-1"',
        ),
        (
            "[[device]]",
            '[[device]]\nid = "co2-1"\nroom = "r-1"\nkind = "air"\n\n[[device]]',
            r"device\[2\].id: device 'co2-1' stands twice",
            'id = "co2-1"',
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_on_its_line(
    tmp_path: Path, old: str, new: str, what: str, line: str
) -> None:
    text = SMALL.replace(old, new)
    with pytest.raises(ScenarioInvalid, match=what) as caught:
        load(write(tmp_path, text))
    (mistake,) = caught.value.mistakes
    last = max(number for number, each in enumerate(text.split("\n"), 1) if each.startswith(line))
    assert mistake.startswith(f"{tmp_path / 'small.toml'}:{last}: ")


@pytest.mark.parametrize(("base", "what"), [("small", "there is no scenario 'small'"), ("district", "itself like")])
def test_what_a_scenario_is_like_has_to_stand_for_itself(tmp_path: Path, base: str, what: str) -> None:
    with pytest.raises(ScenarioInvalid, match=f"like: .*{what}"):
        load(write(tmp_path, SMALL.replace('title = "Small"', f'title = "Small"\nlike = "{base}"')))


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid) as caught:
        load(write(tmp_path, SMALL.replace('title = "Small"', "title = ")))
    assert caught.value.where.endswith(":2")


def test_a_scenario_like_another_replaces_what_it_states(tmp_path: Path, school_day: Scenario) -> None:
    found = load(write(tmp_path, 'like = "school-day"\ntitle = "Later"\nstarts = "09:00"\n'))
    assert found.room == school_day.room
    assert (found.title, found.title_zh, found.starts, found.ends) == ("Later", "", "09:00", school_day.ends)
    assert all(load(name).title_zh for name in names())


def test_a_mistake_says_whether_it_stands_in_the_other_scenario(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid) as caught:
        load(write(tmp_path, 'like = "school-day"\nroom = []\n'))
    assert "which is not there" in caught.value.what
    with pytest.raises(ScenarioInvalid, match=r"body_kg: has to be 15 or more \(found 3\)"):
        load(write(tmp_path, 'like = "school-day"\nbody_kg = 3\n'))


@pytest.mark.parametrize(
    ("own", "key"), [('starts = "18:00"', "starts"), ('ends = "07:00"', "ends"), ("room = []", "room")]
)
def test_what_does_not_fit_the_other_scenario_is_named_where_this_one_says_it(
    tmp_path: Path, own: str, key: str
) -> None:
    with pytest.raises(ScenarioInvalid) as caught:
        load(write(tmp_path, f'like = "school-day"\n\n{own}\n'))
    assert {mistake.split(": ")[0] for mistake in caught.value.mistakes} == {f"{tmp_path / 'small.toml'}:3"}
    assert {mistake.split(": ")[1] for mistake in caught.value.mistakes} == {key}


@pytest.mark.parametrize("name", ["school-day", "winter-week", "exam-week", "summer-holiday", "vr-lesson", "district"])
def test_scenarios_a_tester_needs_are_there(name: str) -> None:
    assert name in scenarios.names()
