"""Tasmota: its sections, units and clocks, and what no message may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Frame, FrameRefused, Settings
from device_drivers.registry import named
from telemetry import ConfigurationError

FOLDER = Path(__file__).parent
DRIVER = named("tasmota").create(Settings())
KEYS = st.sampled_from(
    ("ENERGY", "Power", "Total", "DS18B20-1", "Temperature", "ANALOG", "CTEnergy1", "Wifi", "RSSI", "POWER", "LD2410S",
     "People", "StatusSNS", "Time", "Epoch", "TempUnit", "PressureUnit", "Pressure", "x")
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(("ON", "F", "Online")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def decode(document: dict[str, Any], options: dict[str, Any] | None = None) -> Decoded:
    driver = named("tasmota").create(Settings(options=options or {}))
    return driver.decode(Frame(json.dumps(document).encode(), topic="tele/x/SENSOR"))


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize(
    ("stamps", "options", "event_ms"),
    [
        ({"Time": "2025-03-04T08:00:00"}, {}, None),
        ({"Time": "2025-03-04T08:00:00"}, {"utc_offset_minutes": 480}, 1741046400000),
        ({"Time": "2025-03-04T08:00:00"}, {"utc_offset_minutes": 0}, 1741075200000),
        ({"Time": "2025-03-04T08:00:00+08:00"}, {"utc_offset_minutes": 60}, 1741046400000),
        ({"Time": "2025-03-04T08:00:00", "Epoch": 1741046400}, {}, 1741046400000),
        ({"Time": 1741046400}, {}, 1741046400000),
        ({"Time": "1970-01-01T00:02:11"}, {"utc_offset_minutes": 480}, None),
        ({"Time": "noon"}, {"utc_offset_minutes": 480}, None),
        ({"Time": True}, {"utc_offset_minutes": 480}, None),
        ({}, {"utc_offset_minutes": 480}, None),
    ],
)
def test_local_time_is_believed_only_where_its_zone_is_known(
    stamps: dict[str, Any], options: dict[str, Any], event_ms: int | None
) -> None:
    (measurement,) = decode({**stamps, "SCD40": {"CarbonDioxide": 500}}, options).measurements
    assert measurement.event_ms == event_ms


@pytest.mark.parametrize("offset", [True, 8.5, "480", 841])
def test_an_offset_that_is_none_is_refused_when_the_configuration_is_read(offset: object) -> None:
    with pytest.raises(ConfigurationError, match="utc_offset_minutes"):
        decode({}, {"utc_offset_minutes": offset})


@pytest.mark.parametrize("topic", ["tele/x/SENSOR", "tasmota_49A3BC/tele/SENSOR", "a/b/x/stat/STATUS10", "x", ""])
def test_the_topic_may_be_built_by_any_fulltopic(topic: str) -> None:
    frame = Frame(b'{"StatusSNS": {"ENERGY": {"Power": 5}}}', topic=topic)
    assert [m.quantity for m in DRIVER.decode(frame).measurements] == ["power"]


def test_energy_is_kilowatt_hours_in_no_section_but_its_own() -> None:
    for section in ("LD2410", "LD2410S", "AS3935", "ENERGY", "ANALOG"):
        assert decode({section: {"Energy": 7}}).measurements == ()


def test_a_lost_probe_leaves_the_channels_of_the_others_as_they_are() -> None:
    both = decode({"DS18B20-1": {"Temperature": 20.5}, "DS18B20-2": {"Temperature": 21.5}})
    one = decode({"DS18B20-2": {"Temperature": 21.5}})
    assert both.measurements[1:] == one.measurements


def test_a_probe_that_is_lost_is_known_as_one_in_fahrenheit_too() -> None:
    assert decode({"DS18B20": {"Temperature": 185.0}, "TempUnit": "F"}).measurements == ()
    assert decode({"SHT3X": {"Temperature": 185.0}, "TempUnit": "F"}).measurements[0].value == 85


def test_no_name_of_a_network_or_address_is_told() -> None:
    found = decode({"Wifi": {"SSId": "staff-room", "BSSId": "02:00:00:00:00:01"}, "Zhang San": 1, "é": {"ü": 2}})
    assert found == Decoded((), ("Wifi.SSId", "Wifi.BSSId", "?", "?"))


def test_a_name_that_somebody_gave_a_sensor_becomes_no_channel() -> None:
    """Of two sensors that measure the same the second needs one: a name that Tasmota gives, and not somebody's."""
    found = decode({"AM2301": {"Temperature": 20}, "BME280": {"Temperature": 21}, "zhangwei": {"Temperature": 22}})
    assert [(each.channel, each.value) for each in found.measurements] == [("", 20), ("bme280", 21)]
    assert found.dropped == ("zhangwei.Temperature",)


def test_a_name_that_is_no_utf8_is_refused() -> None:
    """And does not count as the driver's fault."""
    assert isinstance(outcome(DRIVER, Frame(b'{"SCD40":{"Carbon\xa9":81', topic="tele/x/SENSOR")), FrameRefused)


def test_no_quantity_comes_twice_on_one_channel() -> None:
    sections = {f"{name}{suffix}": {"Temperature": 20} for name in ("BME280", "SHT3X") for suffix in ("", "-1", "-2")}
    found = [(m.quantity, m.channel) for m in decode(sections).measurements]
    assert len(found) == len(set(found)) == 6


@given(st.dictionaries(KEYS, VALUES, max_size=6), st.sampled_from(("SENSOR", "LWT", "POWER", "é")))
def test_any_message_is_decoded_or_refused(document: dict[str, Any], leaf: str) -> None:
    found = outcome(DRIVER, Frame(json.dumps(document).encode(), topic=f"tele/x/{leaf}"))
    if isinstance(found, Decoded):
        assert len({(m.quantity, m.channel) for m in found.measurements}) == len(found.measurements)
        assert all(len(m.channel) <= 16 for m in found.measurements)


@given(st.binary(max_size=200), st.sampled_from(("SENSOR", "LWT", "POWER1", "STATE")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, leaf: str) -> None:
    outcome(DRIVER, Frame(payload, topic=f"tele/x/{leaf}"))
