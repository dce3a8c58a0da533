"""Headsets that run Android: printouts as their services write them, whole, cut and mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.android_headset.driver import MOST_BYTES
from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Frame, FrameRefused, Settings
from device_drivers.registry import named

DRIVER = named("android_headset").create(Settings())
CASES = fixture_cases(Path(__file__).parent)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_decodes_what_a_headset_prints(case: dict[str, Any]) -> None:
    check_case(case)


def test_lines_that_end_as_on_a_terminal_are_read_alike() -> None:
    text = str(next(case["payload"] for case in CASES if case["id"] == "battery"))
    plain, terminal = (DRIVER.decode(Frame(each.encode())) for each in (text, text.replace("\n", "\r\n")))
    assert plain == terminal
    assert len(plain.measurements) == 4


def test_a_log_that_never_ends_is_refused() -> None:
    refusal = outcome(DRIVER, Frame(b"FPS=72/72,Temp=31.0C\n" * MOST_BYTES))
    assert isinstance(refusal, FrameRefused)
    assert refusal.reason == "too_large"


@given(st.sampled_from(CASES), st.data())
def test_any_damage_is_decoded_or_refused(case: dict[str, Any], data: st.DataObject) -> None:
    payload = bytearray(str(case["payload"]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(outcome(DRIVER, Frame(bytes(payload))), Decoded | FrameRefused)
