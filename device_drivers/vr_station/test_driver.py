"""VR stations: the contract of README.md, and that nothing of a person passes."""

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

DRIVER = named("vr_station").create(Settings())
WHOLE: dict[str, Any] = {
    "v": 1, "time": 1760000400000, "seq": 7, "battery": 81, "charging": False, "state": "worn",
    "dropped_frames": 12, "frame_rate": 71.9, "thermal": "fair",
}  # fmt: skip
FORBIDDEN = ("pose", "eye", "gaze", "head", "hand", "controller", "user", "name", "account", "face", "voice")


def decode(document: dict[str, Any]) -> Decoded:
    return DRIVER.decode(Frame(json.dumps(document).encode(), topic="bansui/vr/vr-1"))


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_the_contract(case: dict[str, Any]) -> None:
    check_case(case)


def test_the_stations_time_is_the_event_time() -> None:
    assert {m.event_ms for m in decode(WHOLE).measurements} == {WHOLE["time"]}


@given(
    st.sampled_from(FORBIDDEN),
    st.sampled_from(("{}", "{}_x", "left_{}", "left{}", "{}s", "headset_{}", "x.{}.y")),
    st.booleans(),
    st.integers(0, 20),
)
def test_a_personal_key_refuses_the_frame_wherever_it_stands(word: str, shape: str, upper: bool, depth: int) -> None:
    key = shape.format(word.upper() if upper else word)
    value: Any = {key: 0.5}
    for _ in range(depth):
        value = {"extra": [value]}
    with pytest.raises(FrameRefused) as refusal:
        decode(WHOLE | (value if depth else {key: 0.5}))
    assert refusal.value.reason == "personal"


def test_the_keys_of_the_contract_name_no_person() -> None:
    assert len(decode(WHOLE).measurements) == len(WHOLE) - 3


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", '"81"', "true", "[81]"])
def test_a_value_of_the_wrong_kind_drops_its_field_alone(number: str) -> None:
    text = json.dumps(WHOLE).replace('"battery": 81', f'"battery": {number}')
    decoded = DRIVER.decode(Frame(text.encode()))
    assert decoded.dropped == ("battery",)
    assert len(decoded.measurements) == 5


@pytest.mark.parametrize("time", ["NaN", "1760000400000.5", "-1", "true", "null", "1" + "0" * 30])
def test_a_frame_without_a_time_is_refused(time: str) -> None:
    text = json.dumps(WHOLE).replace("1760000400000", time)
    assert isinstance(outcome(DRIVER, Frame(text.encode())), FrameRefused)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    outcome(DRIVER, Frame(payload))


@given(st.dictionaries(st.sampled_from((*WHOLE, "x")), st.none() | st.booleans() | st.floats() | st.text()))
def test_any_object_is_decoded_or_refused(document: dict[str, Any]) -> None:
    outcome(DRIVER, Frame(json.dumps(WHOLE | document).encode()))
