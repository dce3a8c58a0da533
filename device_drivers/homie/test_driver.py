"""Homie: what a device says of itself in both versions, and how its properties are read by that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Driver, Frame, FrameRefused, Settings
from device_drivers.registry import named

FOLDER = Path(__file__).parent


@pytest.fixture
def driver() -> Driver:
    return named("homie").create(Settings())


def send(driver: Driver, topic: str, payload: str) -> dict[str, float]:
    decoded = driver.decode(Frame(payload.encode(), topic=topic))
    return {f"{m.quantity}[{m.channel}]" if m.channel else m.quantity: m.value for m in decoded.measurements}


def describe(driver: Driver, **properties: dict[str, str]) -> None:
    nodes = {"air": {"properties": properties}, "probe-2": {"properties": properties}, "odd": 3}
    send(driver, "homie/5/dev/$description", json.dumps({"homie": "5.0", "nodes": nodes}))


def refusal(driver: Driver, topic: str, payload: bytes = b"21.5") -> str:
    found = outcome(driver, Frame(payload, topic=topic))
    assert isinstance(found, FrameRefused)
    return found.reason


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_the_convention_says(case: dict[str, Any]) -> None:
    check_case(case)


def test_version_5_is_read_by_its_description(driver: Driver) -> None:
    describe(
        driver,
        temperature={"datatype": "float", "unit": "°F"},
        occupancy={"datatype": "boolean"},
        relay={"datatype": "enum", "format": "on,off"},
    )
    assert send(driver, "homie/5/dev/air/temperature", "68") == {"temperature": pytest.approx(20)}
    assert send(driver, "homie/5/dev/probe-2/temperature", "50") == {"temperature[2]": pytest.approx(10)}
    assert send(driver, "homie/5/dev/air/occupancy", "true") == {"occupancy": 1}
    assert send(driver, "homie/5/dev/air/relay", "ON") == {"switch": 1}


def test_version_4_is_read_by_attributes_in_any_order(driver: Driver) -> None:
    assert send(driver, "homie/dev/air/humidity/$unit", "%") == {}
    assert refusal(driver, "homie/dev/air/humidity", b"45") == "not_learned"
    assert send(driver, "homie/dev/air/humidity/$datatype", "float") == {}
    assert send(driver, "homie/dev/air/humidity", "45") == {"humidity": 45}
    for attribute in ("$name", "$properties", "humidity/$settable", "humidity/$format"):
        assert send(driver, f"homie/dev/air/{attribute}", "anything") == {}


def test_a_new_description_takes_the_old_one_back(driver: Driver) -> None:
    describe(driver, temperature={"datatype": "float"})
    describe(driver, humidity={"datatype": "float"})
    assert refusal(driver, "homie/5/dev/air/temperature") == "not_learned"


def test_of_two_properties_that_would_be_told_as_one_the_first_is_read(driver: Driver) -> None:
    nodes = {node: {"properties": {"temperature": {"datatype": "float"}}} for node in ("hall", "roof")}
    send(driver, "homie/5/dev/$description", json.dumps({"nodes": nodes}))
    assert send(driver, "homie/5/dev/roof/temperature", "5") == {"temperature": 5}
    assert driver.decode(Frame(b"20", topic="homie/5/dev/hall/temperature")) == Decoded((), ("temperature",))


@pytest.mark.parametrize(
    ("datatype", "unit", "payload", "dropped"),
    [
        ("float", "m", "3", ("temperature",)),
        ("float", "", "warm", ("temperature",)),
        ("float", "", "nan", ("temperature",)),
        ("string", "", "21.5", ("temperature",)),
        ("boolean", "", "true", ("temperature",)),
        ("float", "", "", ()),
    ],
)
def test_what_is_no_temperature_is_dropped(
    driver: Driver, datatype: str, unit: str, payload: str, dropped: tuple[str, ...]
) -> None:
    describe(driver, temperature={"datatype": datatype, "unit": unit})
    assert driver.decode(Frame(payload.encode(), topic="homie/5/dev/air/temperature")) == Decoded((), dropped)


@pytest.mark.parametrize(
    ("state", "there"),
    [("ready", 1), ("alert", 1), ("lost", 0), ("disconnected", 0), ("init", None), ("sleeping", None)],
)
def test_a_state_says_whether_the_device_is_there(driver: Driver, state: str, there: int | None) -> None:
    for topic in ("homie/5/dev/$state", "homie/dev/$state"):
        assert send(driver, topic, state) == ({} if there is None else {"connectivity": there})


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("homie/5/dev/air/temperature/set", "not_a_device_frame"),
        ("homie/5/dev/air/temperature/$target", "not_a_device_frame"),
        ("homie/dev", "topic"),
        ("homie/5/dev/air", "topic"),
        ("homie/dev/a/b/c", "topic"),
        ("homie//$state/", "topic"),
        ("", "topic"),
    ],
)
def test_other_topics_are_refused(driver: Driver, topic: str, reason: str) -> None:
    assert refusal(driver, topic) == reason


def test_properties_without_end_are_refused(driver: Driver) -> None:
    for number in range(256):
        send(driver, f"homie/dev/air/x{number}/$datatype", "float")
    assert refusal(driver, "homie/dev/air/more/$datatype", b"float") == "too_many"


@given(st.text(max_size=20), st.binary(max_size=80))
def test_any_message_is_decoded_or_refused(end: str, payload: bytes) -> None:
    driver = named("homie").create(Settings())
    describe(driver, temperature={"datatype": "float"})
    for topic in (f"homie/5/{end}", f"homie/5/dev/{end}", f"homie/dev/air/{end}", "homie/5/dev/$description",
                  "homie/5/dev/air/temperature"):  # fmt: skip
        outcome(driver, Frame(payload, topic=topic))


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(("nodes", "properties", "air", "datatype")), x)))  # fmt: skip
def test_any_description_is_understood_or_refused(description: Any) -> None:
    driver = named("homie").create(Settings())
    outcome(driver, Frame(json.dumps(description).encode(), topic="homie/5/dev/$description"))
