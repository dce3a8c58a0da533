"""Every driver of ours that is a table: its recorded frames, damage that must not go unseen, and what it asks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import device_drivers
from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Driver, Frame, FrameRefused, PollDriver, Settings, StreamDriver
from device_drivers.registry import OURS, DriverEntry, discover
from telemetry import DeviceFault

ROOT = Path(device_drivers.__file__).parent
ENTRIES = {entry.id: entry for entry in discover().values() if entry.source == OURS and not entry.module}
CASES = [case for driver_id in ENTRIES for case in fixture_cases(ROOT / driver_id)]

each = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


@cache
def made(driver_id: str, model: str) -> Driver:
    """A table's driver remembers nothing (the check `pure` sees to it): one of a model does for every frame."""
    return ENTRIES[driver_id].create(Settings(model=model))


def models(entry: DriverEntry) -> tuple[str, ...]:
    return entry.manifest.driver.models or ("",)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['family']}-{case['id']}")
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


@each
def test_a_table_needs_no_code(entry: DriverEntry) -> None:
    assert not (ROOT / entry.id / "driver.py").exists()
    assert fixture_cases(ROOT / entry.id)
    for model in models(entry):
        entry.create(Settings(model=model))


@each
def test_any_bytes_are_decoded_or_refused(entry: DriverEntry) -> None:
    @given(st.binary(max_size=60), st.sampled_from(models(entry)))
    def hold(payload: bytes, model: str) -> None:
        driver = made(entry.id, model)
        outcome(driver, Frame(payload))
        if isinstance(driver, StreamDriver):
            assert all(isinstance(frame, Frame) for frame in driver.split(bytearray(payload)))

    hold()


def recorded() -> list[tuple[str, str, bytes]]:
    """Driver, model and bytes of every recorded frame that a device sent."""
    found = []
    for driver_id, entry in ENTRIES.items():
        for case in fixture_cases(ROOT / driver_id):
            payload = case.get("payload", {})
            model = entry.manifest.known_model(case.get("model", "")) or models(entry)[0]
            if "bytes_hex" in case:
                found.append((driver_id, model, bytes.fromhex(case["bytes_hex"])))
            elif "response" in payload:
                found.append((driver_id, model, payload["response"].encode()))
            else:
                found.append((driver_id, model, json.dumps(payload).encode()))
    return found


@given(st.sampled_from(recorded()), st.data())
def test_any_damage_to_a_recorded_frame_is_decoded_or_refused(
    recording: tuple[str, str, bytes], data: st.DataObject
) -> None:
    driver_id, model, frame = recording
    damaged = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    outcome(made(driver_id, model), Frame(bytes(damaged)))


WHOLE = {
    "nova_sds": ("", "aac0d4043a0aa1601dab"),
    "honeywell_hpma": ("HPMA115C0", "400d0400040007000900170000000084"),
    "mcu680": ("", "5a5a3f0f09790ac5018b8500190000a4830005a9"),
    "pzem": ("", "01041408d1006c000000f400000026000001f4006400005134"),
    "sensirion_sps30": (
        "",
        "7e0003002840b9c67f41036c8b411e4ae24123aa92420c5b7c422efdba4238cab3423ab2c9423afde93f4a1025d67e",
    ),
    "samsung_mdc": ("", "aaff000341110155"),
    "philips_sicp": ("", "07010045160a5f"),
    "cvte_board": ("", "aabbcc80000080ddeeff"),
    "nec_display": ("", "01303041423132023032303044363030303030343030303103740d"),
}


@pytest.mark.parametrize("driver_id", WHOLE)
def test_no_flipped_bit_and_no_cut_goes_unseen_where_there_is_a_sum(driver_id: str) -> None:
    model, frame = WHOLE[driver_id]
    driver, whole = made(driver_id, model), bytes.fromhex(frame)
    assert isinstance(outcome(driver, Frame(whole)), Decoded)
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        found = outcome(driver, Frame(bytes(flipped)))
        assert isinstance(found, FrameRefused), bit
    for length in range(len(whole)):
        assert isinstance(outcome(driver, Frame(whole[:length])), FrameRefused)


class Silent:
    """A line that is written to and says nothing."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.written.append(data)

    async def read_exactly(self, count: int) -> bytes:
        raise DeviceFault("nothing")

    async def read_until(self, separator: bytes) -> bytes:
        raise DeviceFault("nothing")


ASKED = {
    "mhz19": {"ff0186000000000079"},
    "honeywell_hpma": {"68010493"},
    "pzem": {"01040000000a700d"},
    "cvte_board": {"aabbcc01020003ddeeff"},
    "samsung_mdc": {"aa11000011"},
    "philips_sicp": {"050100191d"},
    "epson_escvp21": {b"PWR?\r".hex()},
    "smart_board": {b"get powerstate\r".hex()},
    "benq": {b"\r*pow=?#\r".hex()},
    "lg_display": {b"ka 01 ff\r".hex()},
    "nec_display": {"01304130413036023031443603740d"},
    "optoma": {b"~00124 1\r".hex()},
}


@pytest.mark.parametrize("driver_id", ASKED)
async def test_the_first_question_is_one_that_only_reads(driver_id: str) -> None:
    for model in models(ENTRIES[driver_id]):
        driver, line = made(driver_id, model), Silent()
        assert isinstance(driver, PollDriver)
        with pytest.raises(DeviceFault):
            await anext(aiter(driver.poll(line)))
        assert {question.hex() for question in line.written} == ASKED[driver_id]


def exchanges(entry: DriverEntry) -> list[str]:
    return [command.send for command in getattr(entry.manifest.format, "command", ())]


def test_no_table_of_text_sends_a_command_that_sets_something() -> None:
    """Each kind of device has its own way to ask: whatever is sent has its mark."""
    marks = {
        "benq": "=?#",
        "epson_escvp21": "?\r",
        "smart_board": "get ",
        "lg_display": " ff\r",
        "optoma": " 1\r",
        "nec_display": "\u00010A0",
    }
    for driver_id, mark in marks.items():
        sent = [send for send in exchanges(ENTRIES[driver_id]) if send]
        assert sent
        assert all(mark in send for send in sent), driver_id
    assert all(send[4] in "AC" for send in exchanges(ENTRIES["nec_display"]) if send)  # "get" and "command 01D6"


def test_an_unasked_line_is_understood_where_an_answer_should_be() -> None:
    (measurement,) = made("optoma", "").decode(Frame(b"INFO1\r", request=b"~00124 1\r")).measurements
    assert (measurement.quantity, measurement.value) == ("display_power", 3)
