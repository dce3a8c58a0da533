from __future__ import annotations

import pytest

from simulators.devices import Devices, client_of
from simulators.growing import schools, with_rooms
from simulators.scenarios import Scenario, ScenarioInvalid, load
from telemetry import Placement


def validated(scenario: Scenario) -> Scenario:
    """Through every check that a file goes through."""
    return Scenario.model_validate(scenario.model_dump(mode="json"))


def test_fewer_rooms_are_the_first_ones_with_what_stands_in_them(school_day: Scenario) -> None:
    small = validated(with_rooms(school_day, 3))
    assert [room.code for room in small.room] == ["a-101", "a-102", "a-103"]
    assert {device.room for device in small.device} == {"a-101", "a-102", "a-103"}
    assert small.alarm == ()


def test_more_rooms_are_copies_of_classrooms_with_devices_of_their_own(school_day: Scenario) -> None:
    large = validated(with_rooms(school_day, 60))
    assert len(large.room) == 60
    placements = [room.placement for room in large.room]
    assert (placements.count(Placement.OUTDOOR), placements.count(Placement.PLANT)) == (1, 1)
    copies = [device.id for device in large.device if device.room == "a-101-2"]
    assert copies == [f"{device.id}-2" for device in school_day.device if device.room == "a-101"]


def test_a_shared_line_is_copied_as_a_whole() -> None:
    large = validated(with_rooms(load("mixed-school"), 30))
    on_copy = {device.id for device in large.device if device.line == "bus-b-2-2"}
    assert on_copy == {"air-b-201-2", "air-b-202-2", "meter-b-201-2", "meter-b-202-2"}


def test_schools_of_a_district_share_nothing_but_the_broker() -> None:
    district = load("district")
    found = schools(district)
    assert len(found) == district.schools == 20
    assert [school.school for school in found[:2]] == ["cn-101", "cn-102"]
    devices = [device for school in found for device in validated(school).device]
    assert len({device.id for device in devices}) == len(devices)
    clients = [{client_of(device) for device in school.device} for school in found]
    assert not clients[0] & clients[1]
    first, second = (list(Devices(school.model_copy(update={"ends": "08:00"}), 1).day()) for school in found[:2])
    assert [emission.readings for emission in first] != [emission.readings for emission in second]


def test_one_school_stays_as_it_is(school_day: Scenario) -> None:
    assert schools(school_day) == [school_day]


def test_copies_whose_names_would_be_too_long_are_refused(school_day: Scenario) -> None:
    device = school_day.device[0].model_copy(update={"id": "x" * 31})
    with pytest.raises(ScenarioInvalid, match="longer names"):
        with_rooms(school_day.model_copy(update={"device": (device,)}), 60)
