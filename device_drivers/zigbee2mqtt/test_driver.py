"""zigbee2mqtt: shapes of payloads, and what no payload may do."""

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

DRIVER = named("zigbee2mqtt").create(Settings())
TOPIC = "zigbee2mqtt/co2-a-301"
KEYS = st.sampled_from(
    ("co2", "voltage", "battery", "contact", "state", "last_seen", "formaldehyd", "illuminance", "x")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


def decode(payload: bytes | dict[str, Any], topic: str = TOPIC) -> Decoded:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return DRIVER.decode(Frame(content, topic=topic))


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize(
    ("last_seen", "event_ms"),
    [
        (1765292604979, 1765292604979),
        ("2022-10-11T21:42:50+01:00", 1665520970000),
        ("2019-12-14T15:38:56.796Z", 1576337936796),
        ("2022-10-11T21:42:50", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        (-5, None),
        (10**400, None),
        (True, None),
        (None, None),
    ],
)
def test_last_seen_is_the_event_time_in_both_of_its_forms(last_seen: object, event_ms: int | None) -> None:
    (measurement,) = decode({"last_seen": last_seen, "co2": 500}).measurements
    assert measurement.event_ms == event_ms


@pytest.mark.parametrize(
    ("payload", "volts"),
    [
        ({"voltage": 230}, 230),
        ({"voltage": 3025}, 3.025),
        ({"voltage": 900, "battery": 3}, 0.9),
        ({"voltage": 3.1, "battery": 90}, 3.1),
        ({"voltage": 230, "battery": 90}, 230),
    ],
)
def test_voltage_comes_in_volts_whichever_unit_the_device_uses(payload: dict[str, Any], volts: float) -> None:
    values = {m.quantity: m.value for m in decode(payload).measurements}
    assert values["voltage"] == volts


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "true", '"12"', "{}"])
def test_a_value_that_is_no_finite_number_drops_its_field_alone(number: str) -> None:
    decoded = decode(f'{{"temperature": {number}, "co2": 500}}'.encode())
    assert [m.quantity for m in decoded.measurements] == ["carbon_dioxide"]
    assert decoded.dropped == ("temperature",)


def test_a_finite_value_is_passed_on_however_implausible() -> None:
    assert decode(b'{"temperature": 1e308}').measurements[0].value == 1e308


def test_a_value_that_scaling_makes_infinite_drops_its_field() -> None:
    assert decode(b'{"hcho": 1e308}') == Decoded((), ("hcho",))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "malformed"),
        (b'{"a":' + b"9" * 5000 + b"}", "malformed"),
        (b'{"co2": 1', "malformed"),
        (b"", "malformed"),
        (b'\xff\xfe{"co2": 1}', "malformed"),
        (b'{"x": "' + b"a" * 10_000_000 + b'"}', "too_large"),
    ],
    ids=("deep", "endless number", "cut", "empty", "not UTF-8", "10 MB"),
)
def test_a_payload_that_cannot_be_read_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(FrameRefused) as refusal:
        decode(payload)
    assert refusal.value.reason == reason


def test_of_two_like_keys_the_last_stands() -> None:
    assert [m.value for m in decode(b'{"co2": 400, "co2": 500}').measurements] == [500]


def test_a_name_that_may_be_free_text_is_counted_and_not_told() -> None:
    decoded = decode({"Xiao Ming's temperature": 1, "张三": 2, "child_lock": 3})
    assert decoded.dropped == ("?", "?", "child_lock")


@given(st.binary(max_size=200), st.sampled_from((TOPIC, "", "a/b/c", TOPIC + "/voltage", TOPIC + "/availability")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, topic: str) -> None:
    outcome(DRIVER, Frame(payload, topic=topic))


@given(st.dictionaries(KEYS, VALUES))
def test_any_object_is_decoded_field_by_field(document: dict[str, Any]) -> None:
    result = outcome(DRIVER, Frame(json.dumps(document).encode(), topic=TOPIC))
    assert isinstance(result, Decoded)
    assert len(result.measurements) + len(result.dropped) <= len(document)
