"""SteamVR computers: what is being played is refused, whatever it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Frame, FrameRefused, Settings
from device_drivers.registry import named

DRIVER = named("steamvr").create(Settings())


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_the_bridges_states(case: dict[str, Any]) -> None:
    check_case(case)


@given(st.binary(max_size=64), st.sampled_from(("select", "sensor")), st.text("abc-é", max_size=9))
def test_what_is_played_is_refused(payload: bytes, component: str, host: str) -> None:
    refusal = outcome(DRIVER, Frame(payload, f"homeassistant/{component}/{host}-ovr_application/state"))
    assert isinstance(refusal, FrameRefused)
    assert refusal.reason == "personal"


@given(st.binary(max_size=16), st.text(max_size=60))
def test_any_message_on_any_topic_is_decoded_or_refused(payload: bytes, topic: str) -> None:
    assert isinstance(outcome(DRIVER, Frame(payload, topic)), Decoded | FrameRefused)
