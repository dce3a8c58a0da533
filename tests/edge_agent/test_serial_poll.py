"""Asking over a serial line: devices in turn, each on its own, and a line that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from typing import TYPE_CHECKING

import pytest
from pymodbus.framer import FramerRTU

from device_drivers.contract import Frame, PollDriver, Settings
from device_drivers.registry import named
from edge_agent.bindings import bind
from edge_agent.config import SerialTable
from edge_agent.config_file import load
from edge_agent.driver_guard import DriverGuard
from edge_agent.intake.device_intakes import device_intakes
from edge_agent.intake.polling import Polled
from edge_agent.intake.serial_poll import SerialPollIntake
from edge_agent.windows import Cadence
from telemetry import ScaledClock, SystemClock
from telemetry.table_file import ConfigurationMistakes
from tests.edge_agent.harness import bind as bind_device
from tests.support.descriptors import crowded
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from device_drivers.contract import Connection
    from edge_agent.events import Arrival, Batch

FAST = ScaledClock(1_760_000_000_000, 1_760_000_000_000, 20.0)
CADENCE_MS = 1000


def answer(unit: int) -> bytes:
    body = bytes((unit, 3, 4)) + unit.to_bytes(2, "big") + b"\x00\xdc"
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


class Bus:
    """The far end of a pseudo-terminal, where Modbus slaves answer to their addresses."""

    def __init__(self, units: Sequence[int], greeting: bytes = b"") -> None:
        self.units = set(units)
        self.asked: list[int] = []
        self._greeting = greeting
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    def _read(self) -> None:
        unit = os.read(self._master, 256)[0]
        self.asked.append(unit)
        if unit in self.units:
            os.write(self._master, answer(unit) + self._greeting)


@pytest.fixture
async def bus() -> AsyncIterator[Callable[..., Bus]]:
    made: list[Bus] = []

    def make(*units: int, greeting: bytes = b"") -> Bus:
        made.append(Bus(units, greeting))
        return made[-1]

    yield make
    for each in made:
        with contextlib.suppress(OSError):
            each.close()


class Intake:
    """An intake at work on a port, and what it brought."""

    def __init__(self, port: str, drivers: dict[str, PollDriver]) -> None:
        self.batches: list[Batch] = []
        polled = [
            Polled(
                bind_device(name, (), driver=driver, cadence=Cadence(CADENCE_MS, 3 * CADENCE_MS)),
                DriverGuard(),
                clock=FAST,
                deliver=self.batches.append,
            )
            for name, driver in drivers.items()
        ]
        self.intake = SerialPollIntake(SerialTable(port=port), polled, FAST)

    async def __aenter__(self) -> Intake:
        self._task = asyncio.create_task(self.intake.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def of(self, device: str) -> list[Arrival]:
        return [arrival for batch in self.batches if batch.device == device for arrival in batch.arrivals]

    @property
    def is_up(self) -> list[bool]:
        return [each.is_available for each in self.intake.availabilities]


def slave(address: int) -> PollDriver:
    driver = named("modbus_rtu").create(Settings(model="RS-Modbus", options={"address": address}))
    assert isinstance(driver, PollDriver)
    return driver


async def test_the_devices_of_one_line_are_asked_in_turn_and_each_answer_is_its_own(bus: Callable[..., Bus]) -> None:
    line = bus(1, 2, 3)
    drivers = {f"th-{unit}": slave(unit) for unit in (1, 2, 3)}
    async with Intake(line.port, drivers) as agent:
        await until(lambda: all(len(agent.of(name)) >= 3 for name in drivers))
    for unit, (name, driver) in enumerate(drivers.items(), start=1):
        humidity = {round(driver.decode(arrival.frame).measurements[0].value, 6) for arrival in agent.of(name)}
        assert humidity == {unit / 10}
    assert line.asked[:6] == [1, 2, 3, 1, 2, 3]


async def test_a_line_among_a_thousand_connections(bus: Callable[..., Bus]) -> None:
    """Its descriptor is one that select(2) does not know."""
    with crowded():
        line = bus(1)
        async with Intake(line.port, {"th-1": slave(1)}) as agent:
            await until(lambda: len(agent.of("th-1")) >= 3)


async def test_a_silent_device_is_said_to_be_gone_once_and_keeps_no_neighbour_from_answering(
    bus: Callable[..., Bus], caplog: pytest.LogCaptureFixture
) -> None:
    line = bus(1)
    async with Intake(line.port, {"here": slave(1), "gone": slave(2)}) as agent:
        await until(lambda: agent.is_up == [True, False])
        seen = len(agent.of("here"))
        await until(lambda: len(agent.of("here")) > seen + 3)
        line.units.add(2)
        await until(lambda: agent.is_up == [True, True] and bool(agent.of("gone")))
    said = [record.message for record in caplog.records if "gone" in record.message]
    assert [message.partition(":")[0] for message in said if "unavailable" in message] == ["device gone is unavailable"]


async def test_what_lies_on_the_line_before_a_question_is_no_answer(bus: Callable[..., Bus]) -> None:
    line = bus(1, greeting=b"\x00noise")
    driver = slave(1)
    async with Intake(line.port, {"th": driver}) as agent:
        await until(lambda: len(agent.of("th")) >= 3)
    assert all(driver.decode(arrival.frame).measurements for arrival in agent.of("th"))


async def test_a_line_that_goes_away_takes_its_devices_down_and_is_opened_again(
    bus: Callable[..., Bus], tmp_path: Path
) -> None:
    first, port = bus(1), tmp_path / "port"
    port.symlink_to(first.port)
    async with Intake(str(port), {"th": slave(1)}) as agent:
        await until(lambda: bool(agent.batches))
        first.close()
        await until(lambda: agent.is_up == [False])
        second = bus(1)
        port.unlink()
        port.symlink_to(second.port)
        seen = len(agent.batches)
        await until(lambda: len(agent.batches) > seen and agent.is_up == [True])


async def test_a_port_that_is_not_there_is_tried_again(bus: Callable[..., Bus], tmp_path: Path) -> None:
    port = tmp_path / "port"
    async with Intake(str(port), {"th": slave(1)}) as agent:
        await until(lambda: agent.is_up == [False])
        port.symlink_to(bus(1).port)
        await until(lambda: bool(agent.batches) and agent.is_up == [True])


class Broken:
    """A vendor's driver that fails when it asks."""

    def decode(self, frame: Frame) -> None:
        raise AssertionError

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        await connection.write(b"\x09")
        raise ZeroDivisionError
        yield Frame(b"")


async def test_a_driver_that_fails_takes_no_neighbour_with_it(bus: Callable[..., Bus]) -> None:
    line = bus(1)
    async with Intake(line.port, {"broken": Broken(), "th": slave(1)}) as agent:  # type: ignore[dict-item]
        await until(lambda: len(agent.of("th")) >= 3 and agent.is_up == [False, True])


CONFIGURATION = """
[agent]
id = "edge"
district = "d"
school = "s"
timezone = "Asia/Shanghai"
[uplink]
url = "http://127.0.0.1:1"
token_file = "token"
[timetable]
hours = [["08:00", "16:00"]]
[[room]]
code = "a-301"
building = "a"
"""
DEVICE = """
[[device]]
id = "{id}"
room = "a-301"
role = "room_sensor"
driver = "{driver}"
model = "{model}"
serial = {{ port = "{port}", baud = {baud} }}
"""
SENSOR = {"id": "one", "driver": "modbus_rtu", "model": "RS-Modbus", "port": "/dev/a", "baud": 9600}


def configured(tmp_path: Path, *devices: dict[str, object]) -> list[str]:
    path = tmp_path / "agent.toml"
    path.write_text(CONFIGURATION + "".join(DEVICE.format(**SENSOR | device) for device in devices), encoding="utf-8")
    loaded = load(path)
    intakes = device_intakes(loaded, bind(loaded), SystemClock(), lambda _: None)
    return [name for name, _ in intakes]


def test_devices_that_name_one_port_share_one_line(tmp_path: Path) -> None:
    names = configured(tmp_path, {}, {"id": "two"}, {"id": "three", "driver": "mhz19", "port": "/dev/b"})
    assert names == ["/dev/a", "/dev/b"]


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"baud": 4800}, "at another speed"),
        ({"driver": "plantower", "model": "PMS5003"}, "sends without being asked"),
    ],
)
def test_devices_that_cannot_share_a_line_are_refused_with_their_line_in_the_file(
    tmp_path: Path, other: dict[str, object], what: str
) -> None:
    with pytest.raises(ConfigurationMistakes) as error:
        configured(tmp_path, {}, {"id": "two", **other})
    (mistake,) = error.value.mistakes
    assert what in mistake.what
    assert mistake.key.startswith("device[2].serial")
