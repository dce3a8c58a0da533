"""Decentlab: which groups the flags name, and that nothing else passes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Frame, FrameRefused, Settings
from device_drivers.registry import named

FOLDER = Path(__file__).parent
ENTRY = named("decentlab")
MODELS = ENTRY.manifest.driver.models
WHOLE = bytes.fromhex("020bbd006f0b926a515d48bc4e02620069000b0111")


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


def test_no_payload_can_be_cut_or_lengthened_and_pass_for_whole() -> None:
    driver = ENTRY.create(Settings(model="DL-IAM"))
    for length in range(1, len(WHOLE)):
        assert isinstance(outcome(driver, Frame(WHOLE[:length])), FrameRefused), length
    assert isinstance(outcome(driver, Frame(WHOLE + b"\0\0")), FrameRefused)


@pytest.mark.parametrize("flag", range(16))
def test_a_flag_is_read_as_the_group_it_names_or_refuses_the_payload(flag: int) -> None:
    driver = ENTRY.create(Settings(model="DL-SHT35"))
    words = {0: 2, 1: 1}.get(flag, 1)
    payload = bytes((2, 0, 1)) + (1 << flag).to_bytes(2, "big") + b"\x0c\x60" * words
    found = outcome(driver, Frame(payload))
    assert isinstance(found, Decoded) == (flag < 2)


def test_light_is_never_below_darkness() -> None:
    driver = ENTRY.create(Settings(model="DL-IAM"))
    (measurement,) = driver.decode(Frame(bytes.fromhex("0200010008" + "00010fff"))).measurements
    assert (measurement.quantity, measurement.value) == ("illuminance", 0)


@given(st.binary(max_size=60), st.sampled_from(MODELS))
def test_any_bytes_are_decoded_or_refused(payload: bytes, model: str) -> None:
    driver = ENTRY.create(Settings(model=model))
    outcome(driver, Frame(payload))
    outcome(driver, Frame(b"\x02\0\0" + payload))
