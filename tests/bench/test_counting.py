"""Lost and doubled are counted exactly: by the numbers that came, and by the slots that windows say are filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench._gateways.counting import Count, count_numbers, count_slots, numbers_in
from bench._gateways.stream import Stream, message
from edge_agent.windows import Cadence
from telemetry import Placement, decode_all
from tests.edge_agent.harness import MINUTE, MONDAY_9, Bench, bind

if TYPE_CHECKING:
    from pathlib import Path

STREAM = Stream(port=0, devices=40, messages=4_000, rate=20)


def test_numbers() -> None:
    """What is missing is lost, what came again is doubled, however often; a number nobody sent is no result."""
    assert count_numbers(5, [0, 1, 2, 3, 4]) == Count(5, 0, 0)
    assert count_numbers(5, [4, 0, 4, 2, 4]) == Count(5, 2, 2)
    with pytest.raises(ValueError, match="never sent, such as 5"):
        count_numbers(5, [0, 5])


def test_numbers_are_found_in_what_gateways_make_of_a_message() -> None:
    """As it was sent, and packed with others as ThingsBoard does; a probe, below zero, is not counted."""
    packed = b'{"d-1":[{"ts":1,"values":{"number":17,"humidity":40}},{"ts":2,"values":{"number":-1,"number": 18}}]}'
    assert numbers_in(message(16) + b"\n" + packed + b"\n" + message(-1)) == [16, 17, 18]


def test_slots() -> None:
    """A slot that is not filled is a lost message; a window that came twice doubles all of its own."""
    windows = [("a", 0, 3), ("a", 60, 3), ("b", 0, 2)]
    assert count_slots(8, 8, windows) == Count(8, 0, 0)
    assert count_slots(9, 8, windows) == Count(9, 1, 0)
    assert count_slots(8, 8, [*windows, ("a", 60, 3)]) == Count(8, 0, 3)
    assert count_slots(8, 10, windows) == Count(8, 0, 2)


def test_every_message_of_the_stream_has_a_slot_of_its_own() -> None:
    """No two of one device, and each at the beginning of a slot."""
    begin_ms = 7 * STREAM.slot_ms
    places = {
        (number % STREAM.devices, STREAM.stamp_ms(number, begin_ms) / STREAM.slot_ms)
        for number in range(STREAM.messages)
    }
    assert len(places) == STREAM.messages
    assert all(slot.is_integer() for _, slot in places)


def test_what_an_agent_lost_shows_in_its_windows(tmp_path: Path) -> None:
    """The agent's own windows tell each message that never came, and no value stands in for it."""
    slot_ms = STREAM.slot_ms
    mast = bind("mast", ("temperature",), placement=Placement.OUTDOOR, cadence=Cadence(slot_ms, 1000))
    bench = Bench(tmp_path, devices=[mast])
    sent, lost = range(150), {3, 4, 29, 30, 149}
    for number in sent:
        if number not in lost:
            bench.read("mast", ["temperature", 20, "", MONDAY_9 + number * slot_ms])
        bench.pass_time(slot_ms)
        bench.settle()
    bench.until_closed(8 * MINUTE)
    summaries = decode_all("".join(f"{line}\n" for line in bench.told()).encode())
    windows = [(str(each.series), each.start_ms, each.fields["n"]) for each in summaries]
    received = bench.audit().balance["received"]
    bench.stop()
    assert received == len(sent) - len(lost)
    assert count_slots(len(sent), received, windows) == Count(len(sent), len(lost), 0)
