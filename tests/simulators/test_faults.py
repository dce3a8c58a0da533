from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.faults import FAULTS, Fault, FaultMalformed, Target, parse, parse_for
from simulators.growing import schools
from simulators.scenarios import load

if TYPE_CHECKING:
    from simulators.scenarios import Scenario


def test_outage_is_read_in_local_time(school_day: Scenario) -> None:
    at_ms = school_day.moment("10:00")
    assert parse("uplink-outage@10:00+1h", school_day) == Fault("uplink-outage", at_ms, at_ms + 3_600_000)


@pytest.mark.parametrize(("length", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("1h0m5s", 3605)])
def test_lengths_are_hours_minutes_and_seconds(school_day: Scenario, length: str, seconds: int) -> None:
    fault = parse(f"uplink-outage@10:00+{length}", school_day)
    assert fault.until_ms - fault.at_ms == seconds * 1000


def test_kill_has_a_moment_and_no_length(school_day: Scenario) -> None:
    at_ms = school_day.moment("11:20")
    assert parse("agent-kill@11:20", school_day) == Fault("agent-kill", at_ms, at_ms)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not a fault"),
        ("uplink-outage", "is not a fault"),
        ("uplink-outage@10", "is not a fault"),
        ("uplink-outage@24:00+1h", "is not a fault"),
        ("flood@10:00", "no fault is called 'flood'"),
        ("stuck@10:00:co2-z", "there is no such device"),
        ("stuck@10:00:plug-board-a-204", "it cannot happen to that device"),
        ("power-cut@10:00:co2-a-101", "not one of a single device"),
        ("stuck@2026-13-40T10:00", "is not a date"),
        ("stuck@2026-10-13T10:00", "does not lie within the day"),
        ("baud-mismatch@10:00:projector-a-101", "it cannot happen to that device"),
        ("uplink-outage@10:00", "needs a length"),
        ("agent-kill@10:00+1h", "has no length"),
        ("uplink-outage@10:00+soon", "'soon' is not a duration"),
        ("uplink-outage@10:00+0h", "'0h' is not a duration"),
        ("uplink-outage@03:00+1h", "does not lie within the day"),
        ("uplink-outage@17:00+1h", "does not lie within the day"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_way_out(school_day: Scenario, text: str, what: str) -> None:
    with pytest.raises(FaultMalformed) as caught:
        parse(text, school_day)
    assert what in caught.value.what
    assert caught.value.fix


def test_a_fault_without_a_device_happens_to_one_that_the_seed_picks(school_day: Scenario) -> None:
    victims = {parse("stuck@10:00", school_day, seed).device for seed in range(20)}
    assert len(victims) > 3
    assert all(FAULTS["stuck"].suits(model) for model in school_day.device if model.id in victims)
    assert parse("stuck@10:00", school_day, 5) == parse("stuck@10:00", school_day, 5)


def test_a_length_that_is_left_out_is_the_kinds_own(school_day: Scenario) -> None:
    fault = parse("stuck@10:00:co2-a-101", school_day)
    assert (fault.device, fault.until_ms - fault.at_ms) == ("co2-a-101", 2 * 3_600_000)


def test_a_week_has_the_time_of_day_on_its_first_day_and_on_any_date() -> None:
    week = load("winter-week")
    assert parse("broker-restart@08:10", week).at_ms == week.moment("08:10")
    assert parse("broker-restart@2026-01-04T08:10", week).at_ms == week.moment("08:10", 6)
    summer = load("summer-holiday").model_copy(update={"starts": "09:00"})
    assert parse("power-cut@08:10", summer).at_ms == summer.moment("08:10", 1)


def test_in_a_district_a_named_device_is_struck_in_its_school_and_others_everywhere() -> None:
    found = schools(load("district").model_copy(update={"schools": 3}))
    one, every = parse_for(["drift@10:00:cn-102-co2-a-101"], found, 1), parse_for(["power-cut@10:00"], found, 1)
    assert [len(faults) for faults in one] == [0, 1, 0]
    assert [len(faults) for faults in every] == [1, 1, 1]


def test_every_fault_says_in_both_languages_what_it_attacks_and_can_happen_somewhere() -> None:
    devices = [*load("school-day").device, *load("mixed-school").device]
    assert len(FAULTS) == 19
    for name, kind in FAULTS.items():
        assert kind.attacks.isascii(), name
        assert not kind.attacks_zh.isascii(), name
        assert kind.strikes is not Target.DEVICE or any(kind.suits(model) for model in devices), name
