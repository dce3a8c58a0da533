"""A school's Modbus devices, moved from a serial line behind TCP: they say the same, and faults confuse no answers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from device_drivers.connections import open_serial
from device_drivers.contract import PollDriver, Settings
from device_drivers.modbus_tcp import Framing, open_modbus
from device_drivers.registry import named
from edge_agent.agent import Agent
from edge_agent.config_file import load as load_configuration
from edge_agent.counts import CountKey
from edge_agent.intake import availability, modbus_tcp_poll
from simulators import modbus_gateway
from simulators.asked_line import AskedLine
from simulators.devices import Devices, driver_of, model_of
from simulators.faults import parse
from simulators.modbus_gateway import ModbusGateway
from simulators.scenarios import load
from simulators.school import Run, School
from telemetry import ScaledClock
from tests.support.waiting import until
from tests.system.test_mixed_school import configuration

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from device_drivers.connections import StreamConnection
    from device_drivers.contract import Frame
    from simulators.scenarios import DeviceModel

SPEED = 300.0
LINE = "bus-b-2"
MIXED = load("mixed-school")
BUS = [model for model in MIXED.device if model.line == LINE]
"""Two air sensors and two meters on one pair of wires."""


async def frames_of(models: list[DeviceModel], connection: StreamConnection) -> list[Frame]:
    found = []
    for _ in range(3):
        for model in models:
            settings = Settings(model=model_of(model), options={"address": model.address})
            driver = named(driver_of(model)).create(settings)
            assert isinstance(driver, PollDriver)
            found += [frame async for frame in driver.poll(connection)]
            assert all(driver.decode(frame).measurements for frame in found[-1:])
    return found


def devices_of_the_bus() -> Devices:
    devices = Devices(MIXED, seed=5)
    devices.campus.advance(MIXED.moment("08:20"))
    return devices


async def test_the_same_devices_say_the_same_over_a_serial_line_and_over_tcp_in_either_framing() -> None:
    """Frame for frame."""
    said: dict[str, list[Frame]] = {}
    line = AskedLine(lambda *_: None)
    line.devices += devices_of_the_bus().asked[LINE]
    connection: StreamConnection = await open_serial(line.port, 115_200, 5.0)
    said["serial"] = await frames_of(BUS, connection)
    connection.close()
    line.close()
    for framing in Framing:
        gateway = ModbusGateway(framing.value, devices_of_the_bus().asked[LINE], lambda *_: None)
        await gateway.open()
        connection = await open_modbus("127.0.0.1", gateway.port, framing, 5.0)
        said[framing.value] = await frames_of(BUS, connection)
        connection.close()
        await gateway.close()
    assert len(said["serial"]) == 3 * (2 * 1 + 2 * 2)
    assert said["serial"] == said[Framing.MODBUS_TCP] == said[Framing.RTU_OVER_TCP]


FAULTS = (
    "late-answer@08:05+3m:air-b-server",
    "half-frame@08:10+3m:air-b-server",
    "hang-up@08:15+3m:air-b-server",
    "unplug@08:20+3m:air-b-server",
    "unplug@08:05+10m:air-b-103",
)


async def test_an_agent_tells_gateways_faults_from_readings_and_finds_a_gateway_again(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One device behind a gateway has every fault in turn, and a converter's plug is pulled."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(availability, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(modbus_tcp_poll, "ANSWER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(modbus_gateway, "LATE_S", 0.4)
    by_tcp = tuple(model for model in MIXED.device if model.framing)
    scenario = MIXED.model_copy(update={"starts": "08:00", "ends": "08:30", "device": by_tcp})
    clock = ScaledClock(scenario.start_ms, int(time.time() * 1000) + 500, SPEED / 5)
    truth_file = tmp_path / "truth.json"
    faults = [parse(text, scenario) for text in FAULTS]
    run = Run(
        scenario=scenario,
        seed=7,
        clock=clock,
        broker=("127.0.0.1", unused_tcp_port),
        truth_file=truth_file,
        faults=faults,
    )
    school, stop = School(run), asyncio.Event()
    agent: asyncio.Task[None] | None = None
    try:
        wiring: dict[str, Any] = await school.open()
        running = Agent(load_configuration(configuration(tmp_path, wiring, unused_tcp_port)), clock)
        agent = asyncio.create_task(running.run(stop))
        outcome = await school.live()
        assert outcome.is_complete
        truth = json.loads(truth_file.read_text())["devices"]
        counts = running.core.state.counts

        def admitted(name: str) -> int:
            return counts.get(CountKey("admitted", name), 0)

        await until(lambda: all(admitted(name) for name in truth))
        for name, device in truth.items():
            assert 0 < admitted(name) <= device["readings_confirmed"], name
        assert not [key for key in counts if key.stage == "rejected"]
        assert admitted("meter-b-server") > 9 * 15
        for name in ("air-b-server", "air-b-103"):
            assert f"device {name} is unavailable" in caplog.text
            assert f"device {name} is back" in caplog.text
        assert "device meter-b-server is unavailable" not in caplog.text
    finally:
        stop.set()
        if agent is not None:
            await agent
        await school.close()
