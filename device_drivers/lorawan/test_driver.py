"""LoRaWAN: both envelopes, the codec of each model, and what no uplink may do."""

from __future__ import annotations

import base64
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
ENTRY = named("lorawan")
DRIVER = ENTRY.create(Settings(model="AM307"))
CO2 = bytes.fromhex("077da803")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("rssi", "data", "x")), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ("deviceInfo", "time", "data", "fPort", "rxInfo", "batteryLevel", "uplink_message", "received_at", "frm_payload",
     "f_port", "rx_metadata", "simulated", "result", "applicationID", "devEUI", "publishedAt")
)  # fmt: skip


def chirpstack(data: bytes = CO2, **fields: Any) -> Decoded:
    event = {"deviceInfo": {}, "fPort": 85, "data": base64.b64encode(data).decode(), **fields}
    return DRIVER.decode(Frame(json.dumps(event).encode(), topic="application/a/device/b/event/up"))


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize(
    ("stamp", "event_ms"),
    [
        ("2025-03-04T00:00:00.123456789+00:00", 1741046400123),
        ("2025-03-04T08:00:00.1+08:00", 1741046400100),
        ("2025-03-04T00:00:00Z", 1741046400000),
        ("2025-03-04T00:00:00", None),
        ("soon", None),
        (5, None),
        (None, None),
    ],
)
def test_the_servers_stamp_is_the_event_time_of_all_that_an_uplink_holds(stamp: object, event_ms: int | None) -> None:
    decoded = chirpstack(time=stamp, rxInfo=[{"rssi": -80}])
    assert [m.event_ms for m in decoded.measurements] == [event_ms, event_ms]


def test_the_things_stacks_earliest_stamp_is_the_event_time() -> None:
    uplink = {"f_port": 85, "frm_payload": base64.b64encode(CO2).decode(), "received_at": "2025-03-04T00:00:00Z"}
    event = {"uplink_message": uplink, "received_at": "2025-03-04T00:00:09Z"}
    (measurement,) = DRIVER.decode(Frame(json.dumps(event).encode(), topic="v3/a@t/devices/d/up")).measurements
    assert measurement.event_ms == 1741046400000


@pytest.mark.parametrize(
    ("stamps", "event_ms"),
    [
        ({"publishedAt": "2025-03-04T00:00:01Z", "rxInfo": [{"time": "2025-03-04T00:00:00Z"}]}, 1741046401000),
        ({"time": "2025-03-04T00:00:02Z", "rxInfo": [{"time": "2025-03-04T00:00:00Z"}]}, 1741046402000),
        ({"rxInfo": [{"time": None}, 5, {"time": "2025-03-04T00:00:00Z"}]}, 1741046400000),
        ({"rxInfo": {"time": "2025-03-04T00:00:00Z"}}, None),
    ],
)
def test_chirpstack_3_has_its_time_where_it_or_a_gateway_says_it(stamps: dict[str, Any], event_ms: int | None) -> None:
    event = {"applicationID": "1", "fPort": 85, "data": base64.b64encode(CO2).decode(), **stamps}
    (measurement,) = DRIVER.decode(Frame(json.dumps(event).encode(), topic="application/1/device/b/rx")).measurements
    assert measurement.event_ms == event_ms


def test_a_port_that_was_changed_is_stated_in_the_configuration() -> None:
    driver = ENTRY.create(Settings(model="AM307", options={"f_port": 10}))
    assert driver.decode(Frame(CO2, port=10)).measurements
    with pytest.raises(FrameRefused, match="port 10"):
        driver.decode(Frame(CO2, port=85))
    for port in (True, 0, 224, "85"):
        with pytest.raises(ConfigurationError, match="f_port"):
            ENTRY.create(Settings(model="AM307", options={"f_port": port}))


def test_bytes_without_an_envelope_are_taken_from_no_topic() -> None:
    with pytest.raises(FrameRefused):
        DRIVER.decode(Frame(CO2, topic="application/a/device/b/event/up"))


def test_an_index_of_air_quality_is_in_hundredths_on_the_300s_alone() -> None:
    values = {
        model: ENTRY.create(Settings(model=model)).decode(Frame(bytes.fromhex("087d2500"))).measurements[0].value
        for model in ("AM107", "AM307")
    }
    assert values == pytest.approx({"AM107": 37, "AM307": 0.37})


def test_no_payload_can_be_cut_and_pass_for_whole() -> None:
    whole = bytes.fromhex("0367ee0004687c05000106cb02077da803087d250009736627")
    boundaries = {0, 4, 7, 10, 13, 17, 21, 25}
    for end in range(len(whole)):
        found = outcome(DRIVER, Frame(whole[:end], port=85))
        assert isinstance(found, Decoded) == (end in boundaries), end


@given(st.binary(max_size=255), st.sampled_from(sorted(ENTRY.manifest.driver.models)))
def test_any_payload_is_decoded_or_refused_by_every_model(payload: bytes, model: str) -> None:
    outcome(ENTRY.create(Settings(model=model)), Frame(payload, port=85))


@given(st.dictionaries(KEYS, VALUES), st.sampled_from(("up", "status", "join", "")))
def test_any_event_is_decoded_or_refused(event: dict[str, Any], leaf: str) -> None:
    outcome(DRIVER, Frame(json.dumps(event).encode(), topic=f"application/a/device/b/event/{leaf}"))
