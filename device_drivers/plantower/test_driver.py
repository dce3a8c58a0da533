"""Plantower: frames by the manual, and a stream that is cut, flipped and full of noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Decoded, Driver, Frame, FrameRefused, Settings, StreamDriver
from device_drivers.registry import named
from telemetry import ConfigurationError

GOOD = bytes.fromhex("424d001c00000008000800000008000800d20046002d001e00000000970002c5")
NEXT = bytes.fromhex("424d001c00000007000700000007000700bd003f002a001b000000009700029f")


def create(model: str = "PMS5003") -> StreamDriver:
    driver: Driver = named("plantower").create(Settings(model=model))
    assert isinstance(driver, StreamDriver)
    return driver


DRIVER = create()


def good_frames(stream: bytes, *, chunk: int = 1 << 20) -> tuple[list[bytes], list[str]]:
    """The frames a stream gives when it is read in chunks, and the reasons of those refused."""
    buffer, good, refused = bytearray(), list[bytes](), list[str]()
    for start in range(0, len(stream), chunk):
        buffer += stream[start : start + chunk]
        for frame in DRIVER.split(buffer):
            result = outcome(DRIVER, frame)
            if isinstance(result, FrameRefused):
                refused.append(result.reason)
            else:
                good.append(frame.payload)
        assert len(buffer) < len(GOOD)
    return good, refused


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_captures_and_the_manuals_frames(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 31, 32, 33, 1000])
def test_frames_are_found_however_the_bytes_arrive(chunk: int) -> None:
    assert good_frames(GOOD + NEXT + GOOD, chunk=chunk) == ([GOOD, NEXT, GOOD], [])


@pytest.mark.parametrize("length", range(len(GOOD)))
@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_a_cut_frame_costs_no_other(length: int, chunk: int) -> None:
    good, refused = good_frames(GOOD[:length] + NEXT + GOOD, chunk=chunk)
    assert good == [NEXT, GOOD]
    assert len(refused) <= 1


@pytest.mark.parametrize("bit", range(8 * len(GOOD)))
def test_a_flipped_bit_costs_one_frame_and_gives_no_reading(bit: int) -> None:
    flipped = bytearray(GOOD)
    flipped[bit // 8] ^= 1 << bit % 8
    assert isinstance(outcome(DRIVER, Frame(bytes(flipped))), FrameRefused)
    assert good_frames(bytes(flipped) + NEXT + GOOD)[0] == [NEXT, GOOD]


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_frame_cut_short_is_refused(length: int) -> None:
    assert isinstance(outcome(DRIVER, Frame(GOOD[:length])), FrameRefused)


def test_a_header_among_the_data_does_not_end_a_frame() -> None:
    data = b"BM\x00\x1c" + bytes(22)
    head = b"BM\x00\x1c" + data
    frame = head + (sum(head) & 0xFFFF).to_bytes(2, "big")
    assert good_frames(frame + NEXT, chunk=3) == ([frame, NEXT], [])


def test_noise_is_thrown_away_and_never_piles_up() -> None:
    buffer = bytearray(b"B" * 1_000_000 + b"BM")
    assert DRIVER.split(buffer) == []
    assert buffer == b"BM"


@given(st.lists(st.binary(max_size=40) | st.sampled_from((GOOD, NEXT, b"BM\x00\x1c", b"B"))), st.integers(1, 50))
def test_any_stream_resyncs_within_two_frames(pieces: list[bytes], chunk: int) -> None:
    good, _ = good_frames(b"".join(pieces) + GOOD * 2 + NEXT, chunk=chunk)
    assert good[-1] == NEXT


@given(st.binary(max_size=64), st.sampled_from(("PMS3003", "PMS5003", "PMS5003T", "PMS5003S", "PMS5003ST")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, model: str) -> None:
    outcome(create(model), Frame(payload))


@given(st.binary(min_size=26, max_size=26).filter(any))
def test_any_whole_frame_gives_all_of_its_words(data: bytes) -> None:
    head = b"BM\x00\x1c" + data
    result = outcome(DRIVER, Frame(head + (sum(head) & 0xFFFF).to_bytes(2, "big")))
    assert isinstance(result, Decoded)
    assert len(result.measurements) == 12


@pytest.mark.parametrize("model", ["", "PMS5O03"])
def test_a_model_that_is_missing_or_unknown_is_a_mistake_of_configuration(model: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        create(model)
    assert "PMS5003" in error.value.fix
