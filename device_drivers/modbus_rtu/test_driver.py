"""Modbus RTU: register tables, questions and answers, and what is no answer."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import Driver, Frame, FrameRefused, PollDriver, Settings
from device_drivers.registry import named
from telemetry import ConfigurationError

FOLDER = Path(__file__).parent
ENTRY = named("modbus_rtu")
QUESTION = bytes.fromhex("010300000002c40b")


def driver(model: str = "RS-Modbus", **options: Any) -> Driver:
    return ENTRY.create(Settings(model=model, options=options))


def signed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def answer(registers: list[int], unit: int = 1, function: int = 3) -> bytes:
    return signed(struct.pack(f">3B{len(registers)}H", unit, function, 2 * len(registers), *registers))


class Line:
    """A line whose devices give these answers, one to each question."""

    def __init__(self, answers: list[bytes]) -> None:
        self.questions: list[bytes] = []
        self._answers = answers
        self._incoming = b""

    async def write(self, data: bytes) -> None:
        self.questions.append(data)
        self._incoming = self._answers.pop(0)

    async def read_exactly(self, count: int) -> bytes:
        assert len(self._incoming) >= count
        taken, self._incoming = self._incoming[:count], self._incoming[count:]
        return taken

    async def read_until(self, separator: bytes) -> bytes:
        raise AssertionError


async def ask(asker: Driver, line: Line) -> list[Frame]:
    assert isinstance(asker, PollDriver)
    return [frame async for frame in asker.poll(line)]


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


async def test_asks_for_each_block_at_the_stated_address_and_understands_every_answer() -> None:
    meter = driver("SDM120", address=7)
    line = Line([answer([0x4366, 0x8000] + [0] * 30, 7, 4), answer([0x4248, 0, 0x44CB, 0x2000, 0, 0], 7, 4)])
    frames = await ask(meter, line)
    assert line.questions == [signed(bytes.fromhex("070400000020")), signed(bytes.fromhex("070400460006"))]
    found = {(m.quantity, m.channel): m.value for frame in frames for m in meter.decode(frame).measurements}
    assert found["voltage", ""] == 230.5
    assert found["frequency", ""] == 50
    assert found["energy", ""] == 1625
    assert found["energy", "export"] == 0


async def test_a_device_is_asked_at_its_factory_address_when_none_is_stated() -> None:
    line = Line([answer([0, 0], 240)])
    await ask(driver("GMW80"), line)
    assert line.questions[0][0] == 240


async def test_a_device_that_refuses_is_heard_to_its_end() -> None:
    asker = driver()
    (frame,) = await ask(asker, Line([signed(bytes.fromhex("018302"))]))
    with pytest.raises(FrameRefused, match="does not have these registers"):
        asker.decode(frame)


async def test_a_converter_that_takes_the_sum_off_is_read_without_it() -> None:
    asker = driver(crc=False)
    (frame,) = await ask(asker, Line([answer([658, 65435])[:-2]]))
    assert [m.value for m in asker.decode(frame).measurements] == pytest.approx([65.8, -10.1])


async def test_without_a_table_nothing_is_asked() -> None:
    with pytest.raises(FrameRefused, match="no register table"):
        await ask(driver("unlisted"), Line([]))


@pytest.mark.parametrize(
    "payload", [answer([1, 2], unit=2), answer([1, 2], function=4), answer([1]), answer([1, 2, 3])]
)
def test_an_answer_to_another_question_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameRefused, match="another"):
        driver().decode(Frame(payload, request=QUESTION))


def test_no_flipped_bit_goes_unseen() -> None:
    whole = answer([658, 65435])
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        assert isinstance(outcome(driver(), Frame(bytes(flipped))), FrameRefused)


@pytest.mark.parametrize("options", [{"address": 256}, {"address": True}, {"address": "1"}, {"crc": 1}])
def test_an_option_that_is_none_is_refused_when_the_configuration_is_read(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        driver(**options)


@given(st.binary(max_size=20), st.booleans(), st.sampled_from(ENTRY.manifest.driver.models))
def test_any_bytes_are_decoded_or_refused(payload: bytes, is_signed: bool, model: str) -> None:
    outcome(driver(model), Frame(signed(payload) if is_signed else payload))
    outcome(driver(model, crc=False), Frame(payload, request=QUESTION))
