"""What each fault of a device does to its frames, against the same device on the same day without it."""

from __future__ import annotations

import functools
import itertools
import json
import statistics
from typing import TYPE_CHECKING, Any

import pytest

from simulators.afflictions import RENAMED, SPIKE_ERROR, STEP_MS, Afflictions, heard_at
from simulators.devices import Devices
from simulators.faults import FAULTS, HANG_UP, LATE_ANSWER, Target, parse
from simulators.kinds import Kind
from simulators.plantower import frame
from simulators.scenarios import Scenario, load

if TYPE_CHECKING:
    from simulators.emissions import Emission

DAY = load("school-day").model_copy(update={"ends": "12:00"})


@functools.cache
def said(device: str, *texts: str) -> list[Emission]:
    """What the device puts on the wire, in this order, with such faults; beside it are projectors alone, which warm."""
    there = tuple(model for model in DAY.device if model.id == device or model.kind is Kind.PROJECTOR)
    scenario = DAY.model_copy(update={"device": there})
    devices = Devices(scenario, seed=8)
    afflictions = Afflictions([parse(text, scenario, 8) for text in texts], devices)
    frames = [frame for emission in devices.day(afflictions.perceive) for frame in afflictions.pass_on(emission)]
    return [*frames, *afflictions.rest()]


@functools.cache
def plain_day(scenario: str) -> list[Emission]:
    """Every frame until ten o'clock, of a day without faults."""
    return list(Devices(until_ten(scenario), seed=8).day())


def until_ten(scenario: str) -> Scenario:
    return load(scenario).model_copy(update={"ends": "10:00"})


def within(emissions: list[Emission], start: str, end: str) -> list[Emission]:
    return [emission for emission in emissions if DAY.moment(start) <= emission.event_ms < DAY.moment(end)]


def fields(emission: Emission) -> dict[str, Any]:
    found = json.loads(emission.payload)
    assert isinstance(found, dict)
    return found


def values(emissions: list[Emission], name: str) -> list[float]:
    return [dict(emission.readings)[name] for emission in emissions]


def test_without_faults_every_frame_passes_as_it_is() -> None:
    """And the device says the same among all others as it says alone."""
    afflictions = Afflictions([], devices := Devices(DAY, seed=8))
    passed = [frame for emission in devices.day() for frame in afflictions.pass_on(emission)]
    assert passed == list(Devices(DAY, seed=8).day())
    assert said("co2-a-101") == [frame for frame in passed if frame.device == "co2-a-101"]


@pytest.mark.parametrize("name", [name for name, kind in FAULTS.items() if kind.strikes is Target.DEVICE])
def test_a_fault_of_one_device_changes_no_byte_of_another(name: str) -> None:
    day = "mixed-school" if name in (LATE_ANSWER, HANG_UP) else "school-day"
    scenario = until_ten(day)
    fault = parse(f"{name}@08:10" + ("" if FAULTS[name].length is None else "+20m"), scenario, 8)
    others = {device.id for device in scenario.device if device.id != fault.device}
    devices = Devices(scenario, seed=8)
    afflictions = Afflictions([fault], devices)
    with_it = [f for e in devices.day(afflictions.perceive) for f in afflictions.pass_on(e) if f.device in others]
    assert with_it == [emission for emission in plain_day(day) if emission.device in others]


def test_a_stuck_sensor_says_the_same_and_its_radio_lives() -> None:
    stuck = within(said("co2-a-101", "stuck@09:00+1h:co2-a-101"), "09:01", "10:00")
    assert len(stuck) > 50
    assert len(set(values(stuck, "carbon_dioxide"))) == len(set(values(stuck, "temperature"))) == 1
    assert len({fields(emission)["linkquality"] for emission in stuck}) > 5
    after = within(said("co2-a-101", "stuck@09:00+1h:co2-a-101"), "10:01", "11:00")
    assert len(set(values(after, "carbon_dioxide"))) > 20


def test_a_drifting_sensor_wanders_off_and_comes_back() -> None:
    plain, drifting = said("co2-a-101"), said("co2-a-101", "drift@08:00+3h:co2-a-101")
    ratios = {
        at: statistics.mean(values(within(drifting, at, end), "carbon_dioxide"))
        / statistics.mean(values(within(plain, at, end), "carbon_dioxide"))
        for at, end in (("08:00", "08:05"), ("10:00", "10:05"), ("11:30", "11:35"))
    }
    assert list(ratios.values()) == pytest.approx([1.0, 1.16, 1.0], abs=0.01)


def test_a_spike_is_one_value() -> None:
    plain, spiked = said("co2-a-101"), said("co2-a-101", "spike@09:10:co2-a-101")
    different = [
        (a, b) for a, b in zip(values(plain, "carbon_dioxide"), values(spiked, "carbon_dioxide"), strict=True) if a != b
    ]
    ((before, after),) = different
    assert after == pytest.approx(before * (1 + SPIKE_ERROR), rel=0.05)


def test_a_dying_battery_runs_down_and_then_there_is_silence() -> None:
    dying = said("motion-a-101", "battery-death@09:00+30m:motion-a-101")
    charges = values(within(dying, "09:00", "09:30"), "battery")
    assert charges == sorted(charges, reverse=True)
    assert charges[-1] < 5
    assert within(dying, "09:30", "12:00") == []


def test_half_a_frame_is_half_of_its_bytes_and_tells_nothing() -> None:
    plain, halved = (within(said("pm-a-101", *f), "09:00", "09:10") for f in ((), ("half-frame@09:00+10m:pm-a-101",)))
    assert [len(emission.payload) for emission in halved] == [16] * len(plain)
    assert all(b.payload == a.payload[:16] and not b.readings for a, b in zip(plain, halved, strict=True))


def test_a_line_at_the_wrong_speed_brings_bytes_that_are_no_frame() -> None:
    garbled = within(said("pm-a-101", "baud-mismatch@09:00+10m:pm-a-101"), "09:00", "09:10")
    assert garbled
    for emission in garbled:
        assert emission.readings == ()
        assert b"BM" not in emission.payload


def test_a_line_at_the_right_speed_is_heard_as_it_is() -> None:
    sent = frame(list(range(12)))
    assert heard_at(sent, 1.0) == sent
    assert heard_at(b"\x55", 0.5) != b"\x55"


def test_a_clock_that_is_ahead_stamps_an_hour_more_and_measures_the_same() -> None:
    plain, ahead = (within(said("co2-a-101", *f), "09:00", "09:30") for f in ((), ("clock-step@09:00+30m:co2-a-101",)))
    for one, other in zip(plain, ahead, strict=True):
        assert fields(other)["last_seen"] == fields(one)["last_seen"] + STEP_MS
        assert other.readings == one.readings


def test_reordered_frames_are_the_same_frames_in_pairs_turned_round() -> None:
    plain, turned = said("co2-a-101"), said("co2-a-101", "reorder@09:00+30m:co2-a-101")
    assert sorted(turned, key=lambda emission: emission.event_ms) == plain
    times = [emission.event_ms for emission in within(turned, "09:00", "09:30")]
    assert sum(later < sooner for sooner, later in itertools.pairwise(times)) == 15


def test_another_device_under_the_old_id_counts_from_elsewhere() -> None:
    replaced = said("meter-a-101", "device-replaced@10:00:meter-a-101")
    before, after = (values(within(replaced, *span), "energy") for span in (("07:45", "10:00"), ("10:00", "12:00")))
    assert before == sorted(before)
    assert after == sorted(after)
    assert abs(after[0] - before[-1]) > 5
    assert len(replaced) == len(said("meter-a-101"))


def test_a_new_firmware_renames_one_field_and_keeps_the_others() -> None:
    renamed = within(said("co2-a-101", "field-renamed@10:00:co2-a-101"), "10:00", "12:00")
    for emission in renamed:
        assert set(fields(emission)) == {"co2" + RENAMED, "temperature", "humidity", "linkquality", "last_seen"}
        assert {name for name, _ in emission.readings} == {"temperature", "humidity", "link_quality"}


@pytest.mark.parametrize("fault", ["power-cut@09:00+30m", "unplug@09:00+30m:vr-b-301-1"])
def test_without_power_nothing_is_said(fault: str) -> None:
    silent = said("vr-b-301-1", fault)
    assert within(silent, "09:00", "09:30") == []
    assert within(silent, "09:30", "10:00")


def test_windows_know_their_faults() -> None:
    faults = [parse(text, DAY, 8) for text in ("stuck@09:20+1h:co2-a-101", "power-cut@11:00+10m")]
    afflictions = Afflictions(faults, Devices(DAY, seed=8))
    quarter = {at: DAY.moment(at) for at in ("09:00", "09:15", "10:15", "11:00")}
    touched = {at: afflictions.touches("co2-a-101", start, start + 900_000) for at, start in quarter.items()}
    assert touched == {"09:00": [], "09:15": ["stuck"], "10:15": ["stuck"], "11:00": ["power-cut"]}
    assert afflictions.touches("co2-a-102", quarter["09:15"], quarter["10:15"]) == []
