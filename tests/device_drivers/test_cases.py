"""Case files: what each line gives, and that no line stops the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.cases import run_line, run_lines
from device_drivers.registry import discover

DRIVERS = discover()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FAMILIES = ("zigbee2mqtt", "plantower-pmsx003", "plantower-pms5003st", "pjlink", "vr-station")
KEYS = ("id", "model", "transport", "topic", "payload", "bytes_hex", "f_port", "direction")


def run(case: Any) -> dict[str, Any]:
    return run_line(json.dumps(case).encode(), DRIVERS).as_dict()


def test_a_result_has_exactly_the_documented_shape() -> None:
    case = {
        "id": "a",
        "family": "zigbee2mqtt",
        "topic": "zigbee2mqtt/x",
        "payload": {"co2": 812, "x": 1, "state": "ON"},
    }
    assert run(case) == {
        "id": "a",
        "readings": [
            {"quantity": "carbon_dioxide", "channel": None, "value": 812, "unit": "[ppm]"},
            {"quantity": "switch", "channel": None, "value": "on", "unit": None},
        ],
        "dropped": ["x"],
        "error": None,
    }


def test_a_refusal_has_its_reason_for_a_code_and_no_reading() -> None:
    result = run({"id": "b", "family": "plantower-pms3003", "bytes_hex": "424d00140051006a0077"})
    assert result["error"]["code"] == "length"
    assert result["error"]["message"]
    assert result["readings"] == []


def test_flags_are_true_or_false_and_channels_are_named() -> None:
    case = {"family": "pjlink", "payload": {"request": "%1AVMT ?\r", "response": "%1AVMT=11\r"}}
    assert [(r["value"], r["unit"]) for r in run(case)["readings"]] == [(True, None), (False, None)]
    case = {"family": "pjlink", "payload": {"request": "%1LAMP ?\r", "response": "%1LAMP=10 0\r"}}
    assert run(case)["readings"][0] == {"quantity": "lamp_hours", "channel": "1", "value": 10, "unit": "h"}


def test_values_carry_no_dust_of_binary_fractions() -> None:
    (reading,) = run({"family": "zigbee2mqtt", "payload": {"temperature": 0.1 + 0.2}})["readings"]
    assert repr(reading["value"]) == "0.3"


def test_bytes_alone_answer_no_request() -> None:
    result = run({"family": "pjlink", "bytes_hex": b"%1POWR=1\r".hex()})
    assert [reading["value"] for reading in result["readings"]] == ["on"]


def test_the_password_of_a_greeting_is_configured_and_not_told() -> None:
    greeting = {"greeting": "PJLINK 1 498e4a67\r", "password": "secret"}
    assert run({"family": "pjlink", "payload": greeting})["error"] is None
    result = run({"family": "pjlink", "payload": {**greeting, "password": None}})
    assert result["error"]["code"] == "password_required"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "malformed_case"),
        (b"[]", "malformed_case"),
        (b"null", "malformed_case"),
        (b"\xff", "malformed_case"),
        (b"[" * 100_000, "malformed_case"),
        (b"1" * 10_000, "malformed_case"),
        (b'{"id": "x"}', "malformed_case"),
        (b'{"family": 3}', "malformed_case"),
        (b'{"family": "zigbee2mqtt"}', "malformed_case"),
        (b'{"family": "zigbee2mqtt", "model": [], "payload": {}}', "malformed_case"),
        (b'{"family": "pjlink", "payload": {"response": 7}}', "malformed_case"),
        (b'{"family": "plantower-pmsx003", "bytes_hex": "4z"}', "malformed_case"),
        (b'{"family": "no-such-family", "payload": {}}', "unknown_driver"),
        (b'{"family": "pjlink", "direction": "host_to_device", "payload": "%1POWR 1\\r"}', "not_a_device_frame"),
        (b'{"family": "zigbee2mqtt", "payload": "\\ud800"}', "malformed"),
    ],
)
def test_a_line_that_cannot_be_run_gives_an_error_with_its_code(line: bytes, code: str) -> None:
    result = run_line(line, DRIVERS).as_dict()
    assert result["error"] == {"code": code, "message": result["error"]["message"]}
    assert result["readings"] == []


def test_a_broken_line_keeps_no_other_from_running_and_blank_lines_are_none() -> None:
    good = json.dumps({"id": "g", "family": "zigbee2mqtt", "payload": {"co2": 500}}).encode()
    results = list(run_lines([good, b"{\n", b"\n", b'{"id": "n", "family": "none"}\n', good], DRIVERS))
    assert [(result.id, result.error is None) for result in results] == [
        ("g", True), (None, False), ("n", False), ("g", True),
    ]  # fmt: skip


def test_no_message_repeats_what_stood_in_the_line() -> None:
    secret = "Zhang-San-13800000000"
    for case in (
        {"family": secret},
        {"family": "pjlink", "payload": {"request": secret, "response": f"%1POWR={secret}\r"}},
        {"family": "pjlink", "payload": {"greeting": f"PJLINK {secret}\r"}},
        {"family": "zigbee2mqtt", "payload": secret},
        {"family": "plantower-pmsx003", "bytes_hex": secret},
        {"family": "vr-station", "payload": {"user": secret}},
    ):
        assert secret not in json.dumps(run(case))


@given(st.sampled_from(FAMILIES), st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_case_gives_a_result(family: str, case: dict[str, Any]) -> None:
    result = run({**case, "family": family})
    assert result.keys() == {"id", "readings", "dropped", "error"}
    json.dumps(result, allow_nan=False)


@given(st.binary())
def test_any_line_gives_a_result(line: bytes) -> None:
    json.dumps(run_line(line, DRIVERS).as_dict())
