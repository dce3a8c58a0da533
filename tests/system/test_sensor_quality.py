"""Simulated sensors of a week, as a policy lets them leave, judged by a centre: the broken one shows, and no other."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cloud_sink.quality import MOVES, Sensors
from simulators.afflictions import Afflictions
from simulators.devices import Devices
from simulators.faults import parse
from simulators.growing import with_rooms
from simulators.scenarios import load
from simulators.truth import DeviceTruth, Truth
from telemetry import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.scenarios import Scenario

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
COARSE_PPM = 50


def winter_week() -> Scenario:
    """Its CO2 sensors, in five rooms."""
    scenario = with_rooms(load("winter-week"), 5)
    return scenario.model_copy(
        update={"device": tuple(model for model in scenario.device if model.id.startswith("co2-"))}
    )


def windows(scenario: Scenario, *faults: str) -> Iterator[tuple[int, str, str, int]]:
    """Start, device, quantity and mean of what a policy lets leave: quarter hours in timetable hours, CO2 rounded."""
    devices = Devices(scenario, 1)
    afflictions = Afflictions([parse(fault, scenario) for fault in faults], devices)
    truth = Truth(scenario, 1, ScaledClock(scenario.start_ms, 0, 1.0))
    for model in scenario.device:
        truth.devices[model.id] = DeviceTruth("zigbee2mqtt", "mqtt", model.cadence_s * 1000, stamps=True)
    for emission in devices.day(afflictions.perceive):
        for frame in afflictions.pass_on(emission):
            truth.emitted(frame)
    found = truth.document()["windows"]
    assert isinstance(found, list)
    for window in sorted(found, key=lambda window: window["start_ms"]):
        if window["quantity"] in MOVES and is_in_hours(scenario, window["start_ms"]):
            step = COARSE_PPM if window["quantity"] == "carbon_dioxide" else 1
            mean = round(window["sum_ticks"] / window["n"] / step) * step
            yield window["start_ms"], window["device"], window["quantity"], mean


def is_in_hours(scenario: Scenario, at_ms: int) -> bool:
    local, timetable = dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(scenario.timezone)), scenario.timetable
    told = timetable.model_dump(mode="json")
    day = local.date().isoformat()
    is_school_day = DAYS[local.weekday()] in told["days"] and day not in told["holidays"]
    is_on = is_school_day or day in told["make_up_days"]
    return is_on and any(start <= f"{local:%H:%M}" < end for start, end in told["hours"])


def test_a_winter_week_shows_the_sensor_that_was_made_to_stick_and_no_healthy_one() -> None:
    scenario, sensors, found, told = winter_week(), Sensors(), dict[str, str](), 0
    places = {model.id: model.room for model in scenario.device}
    faults = ("stuck@2025-12-30T09:30+6h:co2-a-102", "spike@2025-12-30T10:00:co2-a-103")
    for start_ms, device, quantity, mean in windows(scenario, *faults):
        sensors.note(scenario.school, quantity, (places[device], device, ""), start_ms, mean)
        found |= {suspect.device: str(suspect.quality) for suspect in sensors.suspects(scenario.school)}
        told += 1
    assert told > 1000
    assert found == {"co2-a-102": "stuck"}
