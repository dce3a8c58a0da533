"""The score, of a centre that was told everything, and of one to which things were done."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from simulators.afflictions import Afflictions
from simulators.devices import Devices, driver_of, stamps, transport_of
from simulators.faults import parse
from simulators.scenarios import Scenario, load
from simulators.score import Score, score
from simulators.truth import DeviceTruth, Truth
from telemetry import ScaledClock, Series, Summary

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = load("school-day")


def truth(seed: int, *texts: str, scenario: Scenario = DAY) -> dict[str, Any]:
    """A day without a network, and its truth."""
    devices = Devices(scenario, seed)
    faults = [parse(text, scenario, seed) for text in texts]
    afflictions = Afflictions(faults, devices)
    found = Truth(
        scenario,
        seed,
        ScaledClock(scenario.start_ms, 0, 1.0),
        lambda device, name: devices.senses[device].room.actual(name),
    )
    found.afflicted(afflictions.touches)
    for model in scenario.device:
        entry = DeviceTruth(driver_of(model), transport_of(model), model.cadence_s * 1000, stamps=stamps(model))
        found.devices[model.id] = entry
    for emission in devices.day(afflictions.perceive):
        for frame in afflictions.pass_on(emission):
            found.emitted(frame)
    for fault in faults:
        found.fault(fault, fault.at_ms, fault.until_ms)
    return dict(found.document())


def told(document: dict[str, Any]) -> list[Summary]:
    """What a centre has that was told everything, by quarter hours."""
    return [
        Summary(
            Series(window["quantity"], "cn-002", "a", "a-101", window["device"], window["window_s"]),
            window["start_ms"],
            {"mean": round(window["sum_ticks"] / window["n"]), "n": window["n"], "expected": window["expected"]},
        )
        for window in document["windows"]
    ]


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return truth(3)


def test_a_centre_that_was_told_everything_lacks_nothing_and_is_off_by_rounding_alone(plain: dict[str, Any]) -> None:
    found = score(plain, told(plain))
    assert found.completeness == 1.0
    for name, each in found.quantities.items():
        assert (each.arrived, each.slots_arrived) == (each.windows, each.slots), name
        assert each.sent.windows == each.windows
    assert found.quantities["temperature"].sent.worst <= 0.0051
    assert found.quantities["carbon_dioxide"].sent.worst <= 0.51
    assert found.unknown_devices == []


def test_sensors_are_off_from_physics_by_their_own_offset_and_no_more(plain: dict[str, Any]) -> None:
    physics = {name: each.physics for name, each in score(plain, told(plain)).quantities.items()}
    assert 1 < physics["carbon_dioxide"].mean_absolute < 30
    assert 0.02 < physics["temperature"].mean_absolute < 0.4
    assert physics["battery"].windows == 0


@pytest.mark.parametrize(
    ("change", "completeness", "worst"),
    [
        (lambda summary: None if summary.series.device == "co2-a-101" else summary, 0.98, 0.51),
        (lambda summary: None if summary.start_ms % 3_600_000 else summary, 0.25, 0.51),
        (lambda summary: _shifted(summary, 40), 1.0, 40.5),
    ],
    ids=["a device is missing", "three quarters are missing", "one window is wrong"],
)
def test_what_is_missing_or_wrong_shows(
    plain: dict[str, Any], change: Callable[[Summary], Summary | None], completeness: float, worst: float
) -> None:
    found = score(plain, [changed for summary in told(plain) if (changed := change(summary)) is not None])
    assert found.completeness == pytest.approx(completeness, abs=0.02)
    assert found.quantities["carbon_dioxide"].sent.worst == pytest.approx(worst, abs=0.6)


def _shifted(summary: Summary, ticks: int) -> Summary:
    series = summary.series
    if (series.device, series.quantity) != ("co2-a-101", "carbon_dioxide") or summary.start_ms % 7_200_000:
        return summary
    return dataclasses.replace(summary, fields={**summary.fields, "mean": summary.fields["mean"] + ticks})


def test_windows_longer_and_shorter_than_a_quarter_are_compared_too(plain: dict[str, Any]) -> None:
    hours, minutes = [], []
    for summary in told(plain):
        if summary.series.quantity != "temperature":
            continue
        series, fields = summary.series, {**summary.fields, "n": 1}
        for minute in range(summary.fields["n"]):
            start_ms = summary.start_ms + minute * 60_000
            minutes.append(Summary(dataclasses.replace(series, window_s=60), start_ms, fields))
    by_hour: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for window in plain["windows"]:
        if window["quantity"] == "temperature":
            by_hour.setdefault((window["device"], window["start_ms"] // 3_600_000 * 3_600_000), []).append(window)
    for (device, start_ms), windows in by_hour.items():
        n = sum(window["n"] for window in windows)
        mean = round(sum(window["sum_ticks"] for window in windows) / n)
        hours.append(Summary(Series("temperature", "s", "a", "r", device, 3600), start_ms, {"mean": mean, "n": n}))
    for summaries in (hours, minutes):
        each = score(plain, summaries).quantities["temperature"]
        assert (each.arrived, each.slots_arrived) == (each.windows, each.slots)
        assert each.sent.worst <= 0.0051


def shows(found: Score, device: str, fault: str) -> bool:
    return any(each.found_ms is not None for each in found.detections if (each.device, each.fault) == (device, fault))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stuck_and_drifting_sensors_show_and_healthy_ones_do_not(seed: int) -> None:
    document = truth(seed, "stuck@09:30+3h:co2-a-101", "drift@09:00+4h:co2-a-103", "spike@10:00:co2-a-202")
    found = score(document, told(document))
    assert shows(found, "co2-a-101", "stuck")
    assert shows(found, "co2-a-103", "drift")
    assert found.false_alarms == []
    (stuck,) = [each for each in found.detections if each.fault == "stuck"]
    assert stuck.found_ms is not None
    assert dt.timedelta(hours=2) <= dt.timedelta(milliseconds=stuck.found_ms - stuck.at_ms) <= dt.timedelta(hours=3)


def test_a_centre_with_devices_that_nobody_simulated_is_told_of(plain: dict[str, Any]) -> None:
    other = Summary(Series("temperature", "cn-002", "a", "a-1", "stranger", 900), 0, {"mean": 1, "n": 1})
    assert score(plain, [other]).unknown_devices == ["stranger"]
