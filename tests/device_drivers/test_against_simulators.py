"""Drivers and simulators, written apart from the formats' documents, mean the same by the same bytes."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from device_drivers.contract import Driver, Frame, PollDriver, Settings
from device_drivers.registry import discover
from simulators.devices import Devices, driver_of, is_asked, line_of, model_of
from simulators.scenarios import load

if TYPE_CHECKING:
    from simulators.asked_line import Asked

PUBLISHED = {"zigbee2mqtt", "plantower", "vr_station"}


@pytest.mark.parametrize(
    ("scenario", "read_by"),
    [("school-day", PUBLISHED), ("mixed-school", PUBLISHED | {"tasmota", "home_assistant", "lorawan"})],
)
def test_every_frame_of_a_simulated_morning_decodes_to_the_readings_it_was_made_of(
    scenario: str, read_by: set[str]
) -> None:
    devices = Devices(load(scenario), seed=20)
    entries, drivers, seen = discover(), dict[str, Driver](), Counter[str]()
    models = {model.id: model for model in devices.scenario.device}
    for emission in islice(devices.day(), 4000):
        model = models[emission.device]
        if model.id not in drivers:
            drivers[model.id] = entries[driver_of(model)].create(Settings(model=model_of(model)))
        decoded = drivers[model.id].decode(Frame(emission.payload, topic=emission.topic))
        found = [(m.quantity, round(m.value, 6)) for m in decoded.measurements]
        assert sorted(found) == sorted((name, round(value, 6)) for name, value in emission.readings)
        assert {m.event_ms for m in decoded.measurements} <= {emission.event_ms, None}
        seen[driver_of(model)] += 1
    assert seen.keys() == read_by


class Bus:
    """A line with every simulated device of one name on it."""

    def __init__(self, devices: list[Asked]) -> None:
        self.readings = 0
        self._devices = devices
        self._incoming = b""

    async def write(self, data: bytes) -> None:
        answers = [answer for device in self._devices if (answer := device.answer(data)) is not None]
        ((self._incoming, readings),) = answers  # only the one that is meant speaks
        self.readings += readings

    async def read_exactly(self, count: int) -> bytes:
        taken, self._incoming = self._incoming[:count], self._incoming[count:]
        assert len(taken) == count
        return taken

    async def read_until(self, separator: bytes) -> bytes:
        raise AssertionError


async def test_every_device_that_is_asked_over_a_line_answers_as_its_driver_understands() -> None:
    devices = Devices(load("mixed-school"), seed=20)
    models = [model for model in devices.scenario.device if is_asked(model)]
    seen = set()
    for model in models:
        options = {"address": model.address} if model.line else {}
        driver = discover()[driver_of(model)].create(Settings(model=model_of(model), options=options))
        bus = Bus(devices.asked[line_of(model)])
        assert isinstance(driver, PollDriver)
        decoded = [driver.decode(frame) for frame in [frame async for frame in driver.poll(bus)]]
        assert sum(len(each.measurements) for each in decoded) == bus.readings > 0
        assert not any(each.dropped for each in decoded)
        seen.add(driver_of(model))
    assert seen == {"mhz19", "modbus_rtu"}
