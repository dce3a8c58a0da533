"""Bluetooth gateways: each format of advertisements, and that nothing of a person's comes in."""

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

FOLDER = Path(__file__).parent
ENTRY = named("openmqttgateway")
MODELS = ENTRY.manifest.driver.models
TOPIC = "home/gateway/BTtoMQTT/0000000000A1"
MAC = "a10000000000"
SERVICES = ("0xfe95", "0xfdcd", "0x181a", "0xfcd2", "fcd2", "0xffff")


def decode(model: str = "unlisted", topic: str = TOPIC, **document: Any) -> Decoded:
    return ENTRY.create(Settings(model=model)).decode(Frame(json.dumps(document).encode(), topic=topic))


def values(model: str = "unlisted", **document: Any) -> dict[str, float]:
    return {m.quantity: m.value for m in decode(model, **document).measurements}


def reason(model: str = "unlisted", topic: str = TOPIC, **document: Any) -> str:
    with pytest.raises(FrameRefused) as refusal:
        decode(model, topic, **document)
    return refusal.value.reason


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_the_formats_say(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize("kind", ["BODY", "SCALE", "TRACK", "RMAC", "PHONE", "WATCH", "RING", "BBQ", "", 7, None])
def test_what_is_no_rooms_sensor_is_refused_as_personal(kind: Any) -> None:
    assert reason(id="00:00:00:00:00:A1", type=kind, model_id="x", tempc=36.6) == "personal"


def test_no_name_address_or_distance_is_read_or_told() -> None:
    decoded = decode(id="00:00:00:00:00:A1", name="Zhang San's", rssi=-60, distance=2.5, mac_type=1, type="THB")
    assert [(m.quantity, m.value) for m in decoded.measurements] == [("signal_strength", -60)]
    assert decoded.dropped == ()


@pytest.mark.parametrize(
    "heard",
    [
        {},
        {"name": "a phone", "mac_type": 1},
        {"servicedata": "00", "servicedatauuid": "0xfd6f"},
        {"manufacturerdata": "4c00100501182a3b4c"},
        {"tempc": 36.6},
    ],
)
def test_of_what_is_in_no_sensors_format_not_even_the_signal_is_read(heard: dict[str, Any]) -> None:
    assert reason(id="00:00:00:00:00:A1", rssi=-60, **heard) == "personal"


@pytest.mark.parametrize(
    ("topic", "device", "why"),
    [
        (TOPIC, "00:00:00:00:00:A2", "unexpected"),
        ("home/gateway/BTtoMQTT/0000000000A2", "00:00:00:00:00:A1", "unexpected"),
        ("home/gateway/SYStoMQTT", "00:00:00:00:00:A1", "topic"),
    ],
)
def test_a_message_of_another_device_is_refused(topic: str, device: str, why: str) -> None:
    assert reason(topic=topic, id=device, rssi=-60) == why


def test_the_same_bytes_are_read_by_the_configured_model() -> None:
    data = "d506000ae2e733339dc4e902"
    assert values("SCD4X", manufacturerdata=data)["carbon_dioxide"] == 745
    assert reason("ARANET4", manufacturerdata=data) == "header"
    assert reason("unlisted", manufacturerdata=data) == "personal"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("5020aa0101" + MAC + "0d1004f60022 02".replace(" ", ""), {"temperature": 24.6, "humidity": 54.6}),
        ("5020aa0101" + MAC + "041002f6ff", {"temperature": -1}),
        ("7020aa0101" + MAC + "00" + "0a100158", {"battery": 88}),
        ("7020aa0101" + MAC + "200000" + "0a100158", {"battery": 88}),
        ("5020aa0101" + MAC + "07100332 0000".replace(" ", ""), {"illuminance": 50}),
        ("5020aa0101" + MAC + "19100100", {"opening": 1}),
        ("5020aa0101" + MAC + "19100102", {}),
        ("5820aa0101" + MAC + "0a100158", {}),
        ("1020aa0101" + MAC, {}),
        ("5020aa0101" + MAC + "99990158", {}),
    ],
)
def test_mibeacon_is_read_by_its_frame_control(data: str, found: dict[str, float]) -> None:
    assert values("LYWSDCGQ", servicedata=data) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("40" + "0161" + "02ca09" + "03bf13" + "1228 03".replace(" ", ""),
         {"battery": 97, "temperature": 25.06, "humidity": 50.55, "carbon_dioxide": 808}),
        ("40" + "4512ff" + "2e2d", {"temperature": -23.8, "humidity": 45}),
        ("40" + "0a138a14" + "5c9cffffff" + "4a0c09" + "439001",
         {"energy": 1346.067, "power": -1, "voltage": 231.6, "current": 0.4}),
        ("44" + "0007" + "2101" + "2300" + "1a01" + "2001" + "2900" + "2b00" + "2c00" + "1c00" + "1501",
         {"motion": 1, "occupancy": 0, "opening": 1, "water_leak": 1, "smoke": 0, "tamper": 0, "vibration": 0, "gas": 0,
          "battery_low": 1}),
        ("40" + "5303616263" + "0161", {"battery": 97}),
        ("40" + "0161" + "0162", {"battery": 97}),
        ("40" + "0161" + "e90102", {"battery": 97}),
        ("41" + "0161", {}),
        ("20" + "0161", {}),
    ],
)  # fmt: skip
def test_bthome_is_read_up_to_what_is_unknown(data: str, found: dict[str, float]) -> None:
    assert values(servicedata=data, servicedatauuid="fcd2") == pytest.approx(found)


@pytest.mark.parametrize(
    ("model", "data", "found"),
    [
        ("H5072/75", "88ec000418ee6400", {"temperature": 26.8, "humidity": 52.6, "battery": 100}),
        ("H5072/75", "88ec008011216400", {"temperature": -0.4, "humidity": 38.5, "battery": 100}),
        ("H5106", "0100010184853a00", {"temperature": -7.5, "humidity": 84.0, "pm25": 0}),
        ("ARANET4", "0207210e0401000c0f016f030802681f1362012c018c00b9",
         {"carbon_dioxide": 879, "temperature": 26, "atmospheric_pressure": 804, "humidity": 19, "battery": 98}),
        ("ARANET4", "0207210e0401000c0f01ffff0802681f1362012c018c00b9",
         {"temperature": 26, "atmospheric_pressure": 804, "humidity": 19, "battery": 98}),
        ("ARANET4", "0207010e0401000c0f016f030802681f1362012c018c00b9", {}),
        ("SHT4X", "d5060006e2e733339dc4", {"temperature": -10, "humidity": 90.00404364}),
        ("SHT4X", "d5060063e2e733339dc4", {}),
        ("INEM", "90826300f0cf0000c409820080", {"power": 2376, "energy": 21.2928, "battery": 70, "battery_low": 0}),
        ("INEM", "90826300f0cf0000c449820080", {"battery": 70, "battery_low": 0}),
        ("INEM", "9682dd0061b80000c4193b0080", {"battery": 20, "battery_low": 1}),
    ],
)  # fmt: skip
def test_manufacturers_data_are_read_as_documented(model: str, data: str, found: dict[str, float]) -> None:
    assert values(model, manufacturerdata=data) == pytest.approx(found)


def test_what_a_meter_of_water_counts_is_no_energy() -> None:
    assert values("INEM", name="water", manufacturerdata="90826300f0cf0000c409820080") == {
        "battery": 70,
        "battery_low": 0,
    }
    assert values(type="ENRG", model_id="INEM", avg=2.0, avgu="m³", sum=7.1, sumu="m³", batt=20) == {"battery": 20}


def test_fahrenheit_is_read_where_celsius_is_not_there() -> None:
    assert values(model_id="x", type="THB", tempc=20, tempf=68) == {"temperature": 20}
    assert values(model_id="x", type="THB", tempf=68) == pytest.approx({"temperature": 20})


WHOLE = {
    "LYWSDCGQ": ("servicedata", "5020aa0101" + MAC + "0d1004f6002202"),
    "CGDK2": ("servicedata", "8810" + MAC + "0104e9001d0202010b"),
    "ARANET4": ("manufacturerdata", "0207210e0401000c0f016f03080268"),
    "SCD4X": ("manufacturerdata", "d506000ae2e733339dc4e902"),
    "H5106": ("manufacturerdata", "010001010ed2e431"),
    "INEM": ("manufacturerdata", "90826300f0cf0000c409820080"),
}


@pytest.mark.parametrize("model", WHOLE)
def test_no_advertisement_can_be_cut_and_pass_for_whole(model: str) -> None:
    key, whole = WHOLE[model]
    driver = ENTRY.create(Settings(model=model))
    for length in range(2, len(whole), 2):
        document = {key: whole[:length]} | ({"servicedatauuid": "0xfdcd"} if model == "CGDK2" else {})
        found = outcome(driver, Frame(json.dumps(document).encode()))
        assert isinstance(found, FrameRefused) or not found.rows or model == "CGDK2", length


@given(st.binary(max_size=40), st.sampled_from(SERVICES), st.sampled_from(MODELS))
def test_any_advertisement_is_decoded_or_refused(data: bytes, service: str, model: str) -> None:
    driver = ENTRY.create(Settings(model=model))
    for document in (
        {"servicedata": data.hex(), "servicedatauuid": service},
        {"servicedata": data.hex()},
        {"manufacturerdata": data.hex()},
    ):
        outcome(driver, Frame(json.dumps(document).encode()))


@given(
    st.dictionaries(
        st.sampled_from(("id", "type", "name", "model_id", "tempc", "servicedata", "servicedatauuid", "avg", "avgu")),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2),
    ),
    st.sampled_from(MODELS),
)
def test_any_message_is_decoded_or_refused(document: dict[str, Any], model: str) -> None:
    outcome(ENTRY.create(Settings(model=model)), Frame(json.dumps(document).encode(), topic=TOPIC))
