"""Laird: every kind of message, and that none can be cut and pass for whole."""

from __future__ import annotations

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
ENTRY = named("laird")
MODELS = ENTRY.manifest.driver.models
WHOLE = (
    "0100213443620501000001",
    "020000000005022200000021344362223544 63".replace(" ", ""),
    "0a000103",
    "0b00ff9ffefe0500011000",
)


def decode(payload: str, model: str = MODELS[0], **frame: Any) -> dict[str, float]:
    driver = ENTRY.create(Settings(model=model))
    return {m.quantity: m.value for m in driver.decode(Frame(bytes.fromhex(payload), **frame)).measurements}


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize("payload", WHOLE)
def test_no_message_can_be_cut_or_lengthened_and_pass_for_whole(payload: str) -> None:
    driver, whole = ENTRY.create(Settings(model=MODELS[0])), bytes.fromhex(payload)
    assert isinstance(outcome(driver, Frame(whole)), Decoded)
    for length in range(1, len(whole)):
        assert isinstance(outcome(driver, Frame(whole[:length])), FrameRefused), length
    assert isinstance(outcome(driver, Frame(whole + b"\0")), FrameRefused)


def test_a_fraction_has_the_sign_of_its_whole() -> None:
    assert decode("01000032a9f10500000000")["temperature"] == pytest.approx(-15.87)


def test_a_probe_has_its_readings_in_two_bytes_each() -> None:
    aggregate = "020000000005010000000" + "0" + "fff6ffec"
    assert decode(aggregate, "RS1XX-EXT-TEMP-RTD-SENSOR")["temperature"] == pytest.approx(-20.1)


@pytest.mark.parametrize(("level", "is_low"), [(0, 1), (1, 1), (2, 0), (5, 0)])
def test_a_battery_is_low_in_its_last_fifth(level: int, is_low: int) -> None:
    assert decode(f"010021344362{level:02x}00000000")["battery_low"] == is_low


def test_a_port_that_was_changed_is_stated_in_the_configuration() -> None:
    driver = ENTRY.create(Settings(model=MODELS[0], options={"f_port": 10}))
    assert driver.decode(Frame(bytes.fromhex(WHOLE[0]), port=10)).measurements
    with pytest.raises(FrameRefused, match="port 10"):
        driver.decode(Frame(bytes.fromhex(WHOLE[0]), port=1))
    with pytest.raises(ConfigurationError, match="f_port"):
        ENTRY.create(Settings(model=MODELS[0], options={"f_port": 0}))


@given(st.binary(max_size=60), st.sampled_from(MODELS))
def test_any_bytes_are_decoded_or_refused(payload: bytes, model: str) -> None:
    outcome(ENTRY.create(Settings(model=model)), Frame(payload))
