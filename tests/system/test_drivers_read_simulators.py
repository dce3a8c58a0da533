"""Simulators and drivers were written apart, from the formats' documents: each is a check of the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from device_drivers.contract import Driver, Frame, PollDriver, Settings, StreamDriver
from device_drivers.registry import discover
from simulators.devices import Devices, driver_of, model_of
from simulators.pjlink_server import ProjectorServer
from simulators.scenarios import load
from telemetry import ManualClock, quantity

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIO = load("school-day").model_copy(update={"ends": "09:30"})


def drivers(devices: Devices) -> dict[str, Driver]:
    found = discover()
    return {
        model.id: found[driver_of(model)].create(
            Settings(
                model=model_of(model),
                secrets={"password": devices.passwords[model.id]} if model.password else {},
            )
        )
        for model in devices.scenario.device
    }


def ticks(quantity_id: str, value: float) -> tuple[str, int]:
    return quantity_id, quantity(quantity_id).to_ticks(value)


def test_drivers_find_in_every_frame_what_the_truth_says_is_in_it() -> None:
    devices = Devices(SCENARIO, seed=6)
    driver_for = drivers(devices)
    for emission in devices.day():
        driver = driver_for[emission.device]
        frame = Frame(emission.payload, topic=emission.topic)
        if isinstance(driver, StreamDriver):
            (frame,) = driver.split(bytearray(emission.payload))
        measurements = driver.decode(frame).measurements
        assert Counter(ticks(m.quantity, m.value) for m in measurements) == Counter(
            ticks(name, value) for name, value in emission.readings
        )
        assert {m.event_ms for m in measurements} == {emission.event_ms if emission.topic else None}


@pytest.mark.parametrize("time_of_day", ["07:50", "08:20", "08:45", "12:10"])
async def test_driver_gets_from_a_projector_no_more_than_it_counted(time_of_day: str) -> None:
    devices = Devices(SCENARIO, seed=6)
    driver_for = drivers(devices)
    for projector in devices.projectors:
        counted: list[int] = []
        server = ProjectorServer(
            projector,
            ManualClock(SCENARIO.moment(time_of_day)),
            password=devices.passwords[projector.id],
            on_answer=counter(counted),
        )
        await server.open()
        try:
            driver = driver_for[projector.id]
            assert isinstance(driver, PollDriver)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            frames = [frame async for frame in driver.poll(Line(reader, writer))]
            writer.close()
        finally:
            await server.close()
        received = sum(len(driver.decode(frame).measurements) for frame in frames)
        assert 0 < received == sum(counted)


def counter(counted: list[int]) -> Callable[[int, bool], None]:
    return lambda readings, is_delivered: counted.append(readings if is_delivered else 0)


class Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read_until(self, separator: bytes) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(separator), 5)

    async def read_exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self._reader.readexactly(count), 5)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
