"""MH-Z19: the manual's answers, and what is no answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Frame, FrameRefused, PollDriver, Settings
from device_drivers.registry import named

DRIVER = named("mhz19").create(Settings(model="MH-Z19B"))
ANSWER = bytes.fromhex("ff86027b42000000bb")


class Line:
    """A sensor that gives one answer to one question."""

    def __init__(self) -> None:
        self.written = b""

    async def write(self, data: bytes) -> None:
        self.written += data

    async def read_exactly(self, count: int) -> bytes:
        assert count == len(ANSWER)
        return ANSWER

    async def read_until(self, separator: bytes) -> bytes:
        raise AssertionError


@pytest.mark.parametrize("case", fixture_cases(Path(__file__).parent), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


async def test_asks_for_co2_and_for_nothing_else() -> None:
    line = Line()
    assert isinstance(DRIVER, PollDriver)
    frames = [frame async for frame in DRIVER.poll(line)]
    assert line.written == bytes.fromhex("ff0186000000000079")
    assert [m.value for m in DRIVER.decode(frames[0]).measurements] == [635, 26]


def test_no_flipped_bit_goes_unseen() -> None:
    for bit in range(8 * len(ANSWER)):
        flipped = bytearray(ANSWER)
        flipped[bit // 8] ^= 1 << bit % 8
        assert isinstance(outcome(DRIVER, Frame(bytes(flipped))), FrameRefused)


@given(st.binary(max_size=20))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    outcome(DRIVER, Frame(payload))
