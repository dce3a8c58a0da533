"""SenML: packs resolved as the RFC says, in both representations, and what no pack may do."""

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
from device_drivers.senml.cbor import CborUnreadable, loads

FOLDER = Path(__file__).parent
DRIVER = named("senml").create(Settings())
LABELS = st.sampled_from(("bn", "bt", "bu", "bv", "bver", "n", "u", "v", "vb", "vs", "s", "t", "x", "must_"))
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(("Cel", "%RH", "ppm", "co2", "x:pm10"))
)


def decode(pack: Any) -> Decoded:
    return DRIVER.decode(Frame(json.dumps(pack).encode()))


def reason(payload: bytes) -> str:
    found = outcome(DRIVER, Frame(payload))
    assert isinstance(found, FrameRefused)
    return found.reason


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_the_format_says(case: dict[str, Any]) -> None:
    check_case(case)


def test_base_values_hold_for_the_records_behind_them_until_others_come() -> None:
    pack = [
        {"bn": "a:", "bt": 1.7e9, "bu": "Cel", "bv": 20, "n": "x", "v": 1},
        {"n": "y_2", "t": 5, "v": 2.5},
        {"bu": "V", "bv": 0, "n": "z", "v": 3},
    ]
    assert [(m.quantity, m.value, m.event_ms) for m in decode(pack).measurements] == [
        ("temperature", 21, 1_700_000_000_000),
        ("voltage", 3, 1_700_000_000_000),
        ("temperature", 22.5, 1_700_000_005_000),
    ]


def test_of_records_that_say_how_long_ago_the_latest_is_taken() -> None:
    pack = [{"n": "i", "u": "A", "t": t, "v": 10 + t} for t in (-5, -1, -3)]
    decoded = decode(pack)
    assert [(m.value, m.event_ms) for m in decoded.measurements] == [(9, None)]
    assert decoded.dropped == ("earlier", "earlier")


@pytest.mark.parametrize(
    ("name", "unit", "found"),
    [
        ("urn:dev:x:co2", "ppm", ("carbon_dioxide", "")),
        ("co2_2", "ppm", ("carbon_dioxide", "2")),
        ("room/pm10", "ug/m3", ("pm10", "")),
        ("pm2-5", "ug/m3", ("pm25", "")),
        ("Humidity", "/", ("humidity", "")),
        ("urn:dev:ow:10e2073a01080063", "%RH", ("humidity", "")),
        ("t2", "Cel", ("temperature", "2")),
        ("urn:dev:mac:a01080c0ffee06", "Cel", ("temperature", "")),
        ("zhang", "ppm", None),
        ("", "/", None),
    ],
)
def test_a_word_decides_where_a_unit_does_not(name: str, unit: str, found: tuple[str, str] | None) -> None:
    told = [(m.quantity, m.channel) for m in decode([{"n": name, "u": unit, "v": 0.5}]).measurements]
    assert told == ([found] if found else [])


def test_a_boolean_is_a_flag_of_the_word_it_is_named_by() -> None:
    pack = [{"n": "door", "vb": True}, {"n": "switch", "vb": False}, {"n": "smoke", "vb": True}]
    assert {m.quantity: m.value for m in decode(pack).measurements} == {"opening": 1, "switch": 0, "smoke": 1}


@pytest.mark.parametrize(
    ("pack", "why"),
    [
        ([{"n": "pulse", "u": "beat/min", "v": 80}], "personal"),
        ([{"bver": 11, "n": "x", "u": "V", "v": 1}], "version"),
        ([{"n": "x", "u": "V", "v": 1, "foo_": 1}], "version"),
        ({"n": "x"}, "malformed"),
        ([1], "malformed"),
        ([{"n": "x", "v": "1"}], "malformed"),
        ([{"n": 1, "v": 1}], "malformed"),
        ([{"n": "x", "u": "V", "v": 1, "t": 10**400}], "malformed"),
        ([{}] * 1001, "too_many"),
    ],
)
def test_what_must_not_be_used_is_refused(pack: Any, why: str) -> None:
    assert reason(json.dumps(pack).encode()) == why


def test_cbor_says_the_same_as_json() -> None:
    # [{-2: "a:", -4: "Cel", 0: "x", 2: 21.5 (half float)}, {0: "y", 1: "V", 2: decimal fraction 33e-1}]
    packed = bytes.fromhex(
        "82a4 21 62613a 23 6343656c 00 6178 02 f94d60 a3 00 6179 01 6156 02 c4822018 21".replace(" ", "")
    )
    found = [(m.quantity, m.value) for m in DRIVER.decode(Frame(packed)).measurements]
    assert found == [("temperature", 21.5), ("voltage", 3.3)]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0), ("1903e8", 1000), ("3863", -100), ("1bffffffffffffffff", 2**64 - 1), ("fb3ff199999999999a", 1.1),
        ("fa47c35000", 100000.0), ("f4", False), ("f6", None), ("9f0102ff", [1, 2]), ("bf6161 01ff", {"a": 1}),
        ("7f61616162ff", "ab"), ("4101", b"\x01"), ("c482 20 02", 0.2),
    ],
)  # fmt: skip
def test_cbor_is_read_as_its_standard_has_it(data: str, value: Any) -> None:
    assert loads(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    ["", "18", "ff", "82ff01", "9f", "a1", "a10102 03", "bf01ff", "a1f501", "9bffffffffffffffff", "7f01ff", "61ff",
     "c074", "c1", "d81c80", "818181818181 81", "c4822a 1901", "c482 1a7fffffff 01", "1c", "f8ff", "0000"],
)  # fmt: skip
def test_cbor_that_senml_does_not_use_is_refused(data: str) -> None:
    with pytest.raises(CborUnreadable):
        loads(bytes.fromhex(data))


@given(st.lists(st.dictionaries(LABELS, VALUES, max_size=5), max_size=6))
def test_any_pack_is_decoded_or_refused(pack: list[dict[str, Any]]) -> None:
    outcome(DRIVER, Frame(json.dumps(pack).encode()))


@given(st.binary(max_size=80), st.sampled_from((b"", b"\x81\xa1", b"\x9f\xa2\x00", b"[{")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, start: bytes) -> None:
    outcome(DRIVER, Frame(start + payload))
