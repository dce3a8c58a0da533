"""The bytes devices send, read by small parsers written here from the formats' documents."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from simulators.devices import Devices
from telemetry.vocabulary import quantity

if TYPE_CHECKING:
    from simulators.emissions import Emission
    from simulators.scenarios import Scenario


@pytest.fixture(scope="module")
def frames(school_day: Scenario) -> dict[str, list[Emission]]:
    by_device = defaultdict(list)
    for emission in Devices(school_day, seed=3).day():
        by_device[emission.device].append(emission)
    return by_device


def of(frames: dict[str, list[Emission]], prefix: str) -> list[tuple[Emission, dict[str, Any]]]:
    chosen = [emission for name, sent in frames.items() if name.startswith(prefix) for emission in sent]
    assert chosen
    return [(emission, json.loads(emission.payload)) for emission in chosen]


PROPERTIES = {
    "co2-": {"co2", "temperature", "humidity", "linkquality", "last_seen"},
    "th-": {"temperature", "humidity", "battery", "linkquality", "last_seen"},
    "motion-": {"occupancy", "illuminance", "battery", "linkquality", "last_seen"},
    "door-": {"contact", "battery", "linkquality", "last_seen"},
    "leak-": {"water_leak", "battery", "linkquality", "last_seen"},
    "smoke-": {"smoke", "battery", "linkquality", "last_seen"},
    "meter-": {"power", "energy", "voltage", "current", "state", "power_on_behavior", "linkquality", "last_seen"},
    "plug-": {"power", "energy", "voltage", "current", "state", "power_on_behavior", "linkquality", "last_seen"},
}
BOOLEAN = {"occupancy", "contact", "water_leak", "smoke"}


@pytest.mark.parametrize("prefix", PROPERTIES)
def test_zigbee_device_has_the_properties_zigbee2mqtt_exposes(frames: dict[str, list[Emission]], prefix: str) -> None:
    for emission, fields in of(frames, prefix):
        assert set(fields) == PROPERTIES[prefix]
        assert emission.topic == f"zigbee2mqtt/{emission.device}"
        assert fields["last_seen"] == emission.event_ms
        assert 0 <= fields["linkquality"] <= 255
        for name in BOOLEAN & set(fields):
            assert type(fields[name]) is bool
        if "state" in fields:
            assert fields["state"] in ("ON", "OFF")


def test_every_property_that_measures_counts_as_one_reading(frames: dict[str, list[Emission]]) -> None:
    for prefix in PROPERTIES:
        for emission, fields in of(frames, prefix):
            assert len(emission.readings) == len(set(fields) - {"last_seen", "power_on_behavior"})


def test_readings_are_plausible_and_in_the_vocabulary(frames: dict[str, list[Emission]]) -> None:
    for sent in frames.values():
        for emission in sent:
            for name, value in emission.readings:
                assert quantity(name).is_plausible(value), (emission.device, name, value)


def test_energy_only_rises_and_agrees_with_power(frames: dict[str, list[Emission]]) -> None:
    fields = [fields for _, fields in of(frames, "meter-a-101")]
    energies = [field["energy"] for field in fields]
    assert energies == sorted(energies)
    drawn_kwh = sum(field["power"] for field in fields[1:]) / 60 / 1000
    assert energies[-1] - energies[0] == pytest.approx(drawn_kwh, abs=0.02)
    for field in fields:
        assert field["power"] == pytest.approx(field["voltage"] * field["current"] * 0.95, abs=1.5)


def test_leak_alarms_for_eleven_minutes_and_smoke_for_three(
    frames: dict[str, list[Emission]], school_day: Scenario
) -> None:
    for device, name, at, minutes in (("leak-", "water_leak", "12:20", 11), ("smoke-", "smoke", "14:05", 3)):
        times = [fields["last_seen"] for _, fields in of(frames, device) if fields[name]]
        start_ms = school_day.moment(at)
        assert len(times) == minutes
        assert start_ms <= times[0] < times[-1] < start_ms + minutes * 60_000


VR_FIELDS: dict[str, type] = {
    "v": int,
    "time": int,
    "seq": int,
    "battery": int,
    "charging": bool,
    "state": str,
    "dropped_frames": int,
    "frame_rate": float,
    "thermal": str,
}


def test_vr_station_sends_the_documented_fields_and_none_of_a_person(frames: dict[str, list[Emission]]) -> None:
    for emission, fields in of(frames, "vr-"):
        assert {name: type(value) for name, value in fields.items()} == VR_FIELDS
        assert fields["v"] == 1
        assert fields["time"] == emission.event_ms
        assert fields["state"] in ("worn", "idle")
        assert fields["thermal"] in ("nominal", "fair", "serious", "critical")
        assert emission.topic == f"bansui/vr/{emission.device}"
        assert len(emission.readings) == 6


def test_vr_station_counts_its_messages_and_dropped_frames_upwards(frames: dict[str, list[Emission]]) -> None:
    fields = [fields for _, fields in of(frames, "vr-b-301-1")]
    assert [field["seq"] - fields[0]["seq"] for field in fields] == list(range(len(fields)))
    dropped = [field["dropped_frames"] for field in fields]
    assert dropped == sorted(dropped)
    assert dropped[-1] > dropped[0]


def test_vr_station_is_worn_in_lessons_and_charges_after(
    frames: dict[str, list[Emission]], school_day: Scenario
) -> None:
    at = {fields["time"]: fields for _, fields in of(frames, "vr-b-301-1")}
    lesson = [fields for time, fields in at.items() if school_day.moment("08:51") < time < school_day.moment("09:29")]
    assert {fields["state"] for fields in lesson} == {"worn"}
    assert not any(fields["charging"] for fields in lesson)
    assert lesson[-1]["battery"] < lesson[0]["battery"]
    rest = [fields for time, fields in at.items() if school_day.moment("10:42") < time < school_day.moment("12:40")]
    assert {fields["state"] for fields in rest} == {"idle"}
    assert rest[0]["charging"]
    assert rest[-1]["battery"] > rest[0]["battery"]


def words_of(frame: bytes) -> tuple[int, ...]:
    """Plantower PMS5003 manual, appendix I, byte by byte."""
    assert len(frame) == 32
    assert frame[0] == 0x42
    assert frame[1] == 0x4D
    words = struct.unpack(">15H", frame[2:])
    assert words[0] == 28
    assert words[-1] == sum(frame[:-2])
    return words[1:-1]


def test_plantower_frame_is_the_manuals(frames: dict[str, list[Emission]]) -> None:
    for emission in (emission for name in ("pm-a-101", "pm-yard") for emission in frames[name]):
        words = words_of(emission.payload)
        values = dict(emission.readings)
        assert len(values) == 12
        assert [values[name] for name in ("pm1_cf1", "pm25_cf1", "pm10_cf1")] == list(words[:3])
        assert [values[name] for name in ("pm1", "pm25", "pm10")] == list(words[3:6])
        assert values["particle_count_0_3"] * 100 == pytest.approx(words[6])
        assert words[3] <= words[4] <= words[5]
        assert list(words[6:12]) == sorted(words[6:12], reverse=True)


def test_every_cadence_slot_of_the_day_holds_one_frame(frames: dict[str, list[Emission]], school_day: Scenario) -> None:
    minutes = (school_day.end_ms - school_day.start_ms) // 60_000
    for device, sent in frames.items():
        slots = [(emission.event_ms - school_day.start_ms) // 60_000 for emission in sent]
        assert slots == list(range(minutes)), device
