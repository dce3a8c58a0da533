"""Shelly: components by their topics and in notifications, and what no message may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Frame, Settings
from device_drivers.registry import named

DRIVER = named("shelly").create(Settings())
NAMES = st.sampled_from(("ts", "sys", "wifi", "switch:0", "switch:1", "em1:0", "temperature:0", "smoke:0", "x:9999"))
KEYS = st.sampled_from(("id", "ts", "output", "apower", "tC", "alarm", "aenergy", "total", "current_C", "rssi"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def notified(params: dict[str, Any], source: str = "shellyplus1pm-0000000000a1") -> Decoded:
    document = {"src": source, "method": "NotifyStatus", "params": params}
    return DRIVER.decode(Frame(json.dumps(document).encode(), topic="x/events/rpc"))


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


def test_a_notification_says_when_and_a_status_does_not() -> None:
    (changed,) = notified({"ts": 1760000400.44, "switch:0": {"apower": 8.9}}).measurements
    status = DRIVER.decode(Frame(b'{"id": 0, "apower": 8.9}', topic="x/status/switch:0"))
    assert (changed.event_ms, status.measurements[0].event_ms) == (1760000400440, None)


def test_every_socket_of_a_strip_has_an_export_of_its_own() -> None:
    fed_back = {f"switch:{number}": {"ret_aenergy": {"total": number}} for number in range(3)}
    assert [each.channel for each in notified(fed_back).measurements] == ["export", "export-1", "export-2"]


@pytest.mark.parametrize(
    ("source", "quantity"),
    [
        ("shellypro3em-0000000000a1", "device_temperature"),
        ("shelly3em63g3-0000000000a1", "device_temperature"),
        ("shellyproem50-0000000000a1", "device_temperature"),
        ("shellyhtg3-0000000000a1", "temperature"),
        ("", "temperature"),
    ],
)
def test_the_warmth_of_a_meter_is_no_rooms(source: str, quantity: str) -> None:
    assert [each.quantity for each in notified({"temperature:0": {"tC": 40.5}}, source).measurements] == [quantity]


def test_of_two_components_that_tell_the_same_the_first_is_kept() -> None:
    found = notified({"switch:0": {"apower": 5}, "pm1:0": {"apower": 7, "voltage": 230}})
    assert [(each.quantity, each.value) for each in found.measurements] == [("power", 5), ("voltage", 230)]
    assert found.dropped == ("power",)


@pytest.mark.parametrize("number", [True, -1, 1000, 1.5, "1", None])
def test_a_number_that_is_none_becomes_no_channel(number: Any) -> None:
    frame = Frame(json.dumps({"id": number, "apower": 5}).encode(), topic="x/status/switch:0")
    assert [each.channel for each in DRIVER.decode(frame).measurements] == [""]


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from(("NotifyStatus", "NotifyFullStatus", "x", 1)))
def test_any_notification_is_decoded_or_refused(params: dict[str, Any], method: Any) -> None:
    found = outcome(DRIVER, Frame(json.dumps({"method": method, "params": params}).encode(), topic="x/events/rpc"))
    if isinstance(found, Decoded):
        told = [(each.quantity, each.channel) for each in found.measurements]
        assert len(set(told)) == len(told)
        assert all(len(channel) <= 16 for _, channel in told)


@given(st.binary(max_size=200), st.sampled_from(("x/status/switch:0", "x/online", "x/events/rpc", "")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, topic: str) -> None:
    outcome(DRIVER, Frame(payload, topic=topic))
