"""Drivers and simulators, written apart from the formats' documents, mean the same by the same bytes."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from device_drivers.contract import AskingDriver, Driver, Frame, FrameRefused, PollDriver, Settings, StreamDriver
from device_drivers.registry import discover
from simulators.devices import Devices, driver_of, is_asked, line_of, model_of
from simulators.kinds import Kind
from simulators.scenarios import load
from telemetry import quantity

if TYPE_CHECKING:
    from simulators.asked_line import Asked
    from simulators.scenarios import Scenario

SCENARIOS = ("school-day", "mixed-school", "other-formats")
NO_DEVICE = {"exec"}
"""Drivers of what is no device on a wire: a program of one's own."""


def ticks(name: str, value: float) -> tuple[str, int]:
    return name, quantity(name).to_ticks(value)


def drivers_of(scenario: Scenario) -> set[str]:
    return {driver_of(model) for model in scenario.device}


def test_every_driver_that_ships_has_a_simulated_device() -> None:
    ours = {name for name, entry in discover().items() if entry.source.partition(" ")[0] == "bansui"}
    simulated = set().union(*(drivers_of(load(name)) for name in SCENARIOS))
    assert simulated <= ours
    lacking = ours - NO_DEVICE - simulated
    assert not lacking, (
        f"{lacking}: give each a kind in simulators/kinds.py and catalogue.py, and stand it in a scenario"
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_frame_of_a_simulated_morning_decodes_to_the_readings_it_was_made_of(scenario: str) -> None:
    devices = Devices(load(scenario), seed=20)
    entries, drivers, seen = discover(), dict[str, Driver](), set[str]()
    models = {model.id: model for model in devices.scenario.device}
    for emission in islice(devices.day(), 5000):
        model = models[emission.device]
        if model.id not in drivers:
            drivers[model.id] = entries[driver_of(model)].create(Settings(model=model_of(model)))
        driver = drivers[model.id]
        frame = Frame(emission.payload, topic=emission.topic)
        if isinstance(driver, StreamDriver):
            (frame,) = driver.split(bytearray(emission.payload))
        decoded = driver.decode(frame)
        found = Counter(ticks(m.quantity, m.value) for m in decoded.measurements)
        assert found == Counter(ticks(*reading) for reading in emission.readings), emission
        assert {m.event_ms for m in decoded.measurements} <= {emission.event_ms, None}
        seen.add(model.id)
    unasked = {
        model.id for model in devices.scenario.device if not is_asked(model) and model.kind is not Kind.PROJECTOR
    }
    assert seen == unasked


class Bus:
    """A line with every simulated device of one name on it."""

    def __init__(self, devices: list[Asked]) -> None:
        self.readings: list[tuple[str, float]] = []
        self._devices = devices
        self._incoming = b""

    async def write(self, data: bytes) -> None:
        answers = [answer for device in self._devices if (answer := device.answer(data)) is not None]
        assert len(answers) <= 1  # only the one that is meant speaks
        for answer in answers:
            self._incoming += answer.content
            self.readings += answer.readings

    async def read_exactly(self, count: int) -> bytes:
        if len(self._incoming) < count:
            raise TimeoutError
        taken, self._incoming = self._incoming[:count], self._incoming[count:]
        return taken

    async def read_until(self, separator: bytes) -> bytes:
        taken, found, rest = self._incoming.partition(separator)
        if not found:
            raise TimeoutError
        self._incoming = rest
        return taken + found


@pytest.mark.parametrize("time_of_day", ["07:50", "08:20", "12:10"], ids=["before school", "in a lesson", "afterwards"])
@pytest.mark.parametrize("scenario", ["mixed-school", "other-formats"])
async def test_every_device_that_is_asked_answers_as_its_driver_understands(scenario: str, time_of_day: str) -> None:
    devices = Devices(load(scenario), seed=20)
    devices.campus.advance(devices.scenario.moment(time_of_day))
    by_tcp = {device.id: [device] for device in devices.asked_by_tcp}
    asked = [model for model in devices.scenario.device if is_asked(model)]
    assert asked
    for model in asked:
        options = {"address": model.address} if model.line or model.framing else {}
        driver = discover()[driver_of(model)].create(Settings(model=model_of(model), options=options))
        bus = Bus(by_tcp.get(model.id) or devices.asked[line_of(model)])
        assert isinstance(driver, PollDriver)
        decoded = [driver.decode(frame) for frame in [frame async for frame in driver.poll(bus)]]
        found = Counter(ticks(m.quantity, m.value) for each in decoded for m in each.measurements)
        assert found == Counter(ticks(*reading) for reading in bus.readings), model.id
        assert found, model.id
        assert not any(each.dropped for each in decoded), model.id


def test_a_simulated_node_answers_the_drivers_request_with_a_birth_and_nothing_else() -> None:
    """By name, from zero on, with the values it had: the driver that asked reads the data behind it."""
    devices = Devices(load("other-formats"), seed=20)
    (model,) = (model for model in devices.scenario.device if model.kind is Kind.SPARKPLUG_B)
    node, driver = devices.commanded(model.id), discover()["sparkplug_b"].create(Settings())
    assert node is not None
    assert isinstance(driver, AskingDriver)
    before, missed = islice((one for one in devices.day() if one.device == model.id), 2)
    assert before.topic.endswith(f"NBIRTH/{model.id}")
    with pytest.raises(FrameRefused, match="no birth"):
        driver.decode(Frame(missed.payload, topic=missed.topic))
    (request,) = driver.requests(missed.event_ms)
    assert request.topic == node.command_topic
    for other in (b"", request.payload[:-1] + b"\0", request.payload.replace(b"Rebirth", b"Reboot!")):
        assert node.obey(other, missed.event_ms) is None
    birth = node.obey(request.payload, missed.event_ms + 500)
    assert birth is not None
    assert birth.readings[:-1] == missed.readings, "the last that it measured"
    found = driver.decode(Frame(birth.payload, topic=birth.topic))
    assert {ticks(m.quantity, m.value) for m in found.measurements} == {ticks(*reading) for reading in birth.readings}
    assert found.dropped == ()
    assert driver.requests(birth.event_ms) == []
    following = node.emit(birth.event_ms + 60_000)
    assert driver.decode(Frame(following.payload, topic=following.topic)).dropped == (), "its numbers go on from zero"
