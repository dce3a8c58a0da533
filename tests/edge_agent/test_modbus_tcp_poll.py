"""Asking Modbus devices over TCP: several at one address, each on its own, and an address that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, Final

import pytest
from pymodbus.framer import FramerRTU

from bansui.free_port import free_port
from device_drivers.contract import PollDriver, Settings
from device_drivers.modbus_tcp import Framing
from device_drivers.registry import named
from edge_agent.bindings import bind
from edge_agent.config import TcpTable
from edge_agent.config_file import load
from edge_agent.driver_guard import DriverGuard
from edge_agent.intake import availability, modbus_tcp_poll
from edge_agent.intake.device_intakes import device_intakes
from edge_agent.intake.modbus_tcp_poll import ModbusTcpIntake
from edge_agent.intake.polling import Polled
from edge_agent.windows import Cadence
from telemetry import BansuiError, ConfigurationError, ScaledClock, SystemClock
from telemetry.table_file import ConfigurationMistakes
from tests.edge_agent.harness import bind as bind_device
from tests.edge_agent.running import configure
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_agent.events import Batch

FAST: Final = ScaledClock(1_760_000_000_000, 1_760_000_000_000, 10.0)
CADENCE_MS: Final = 1000
GONE: Final = b"\x83\x0b"
"""What a gateway says of a device that does not answer it."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of a person's patience, cut down to a test's."""
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(availability, "LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(modbus_tcp_poll, "ANSWER_TIMEOUT_S", 1.0)


class Gateway:
    """One TCP address with devices behind it, whose two registers say their unit and how often they were asked."""

    def __init__(self, *units: int, framing: Framing = Framing.MODBUS_TCP, host: str = "127.0.0.1") -> None:
        self.units = set(units)
        self.silent: set[int] = set()
        """Of these it says nothing at all."""
        self.asked: list[int] = []
        self.connections = 0
        self.most_at_once = 0
        self.hangs_up_on: set[int] = set()
        self.hangs_up_after_each = False
        self.halves: set[int] = set()
        """Of these it says half an answer, and no more."""
        self.late: Callable[[int], float] = lambda _unit: 0.0
        """Seconds from a question to its answer."""
        self.port = 0
        self._framing, self._host = framing, host
        self._talking: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Gateway:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unplug()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._meet, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        self._server.close()
        for task, writer in self._talking.items():
            task.cancel()
            writer.close()
        await asyncio.gather(*self._talking, return_exceptions=True)

    # No coroutine: a task that is cancelled before it began would close nothing.
    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self.connections += 1
        self._talking[task] = writer
        self.most_at_once = max(self.most_at_once, len(self._talking))
        task.add_done_callback(self._talking.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while question := await reader.read(300):
            unit = question[6] if self._framing is Framing.MODBUS_TCP else question[0]
            self.asked.append(unit)
            if unit in self.hangs_up_on:
                return
            if unit not in self.silent:
                self._answer(writer, question, unit, len(self.asked))
            if self.hangs_up_after_each:
                return

    def _answer(self, writer: asyncio.StreamWriter, question: bytes, unit: int, number: int) -> None:
        said = struct.pack(">BBHH", 3, 4, unit, number) if unit in self.units else GONE
        body = bytes([unit]) + said
        if self._framing is Framing.MODBUS_TCP:
            frame = struct.pack(">2sHH", question, 0, len(body)) + body
        else:
            frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
        if unit in self.halves:
            frame = frame[: len(frame) // 2]
        if wait_s := self.late(unit):
            asyncio.get_running_loop().call_later(wait_s, writer.write, frame)
        else:
            writer.write(frame)


class Intake:
    """An intake at work at a gateway's address, and what it brought."""

    def __init__(self, port: int, units: Sequence[int], framing: str | None = None, host: str = "127.0.0.1") -> None:
        self.batches: list[Batch] = []
        self._drivers = {f"th-{unit}": _driver(unit) for unit in units}
        polled = [
            Polled(
                bind_device(name, (), driver=driver, cadence=Cadence(CADENCE_MS, 3 * CADENCE_MS)),
                DriverGuard(),
                clock=FAST,
                deliver=self.batches.append,
            )
            for name, driver in self._drivers.items()
        ]
        table = {"host": host, "port": port, **({"framing": framing} if framing else {})}
        self.intake = ModbusTcpIntake(TcpTable.model_validate(table), polled, FAST)

    async def __aenter__(self) -> Intake:
        self._task = asyncio.create_task(self.intake.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def said(self, unit: int) -> list[tuple[int, int]]:
        """What was understood of a device's answers: whose, and to which question."""
        name = f"th-{unit}"
        found: list[tuple[int, int]] = []
        for batch in self.batches:
            for arrival in batch.arrivals if batch.device == name else ():
                with contextlib.suppress(BansuiError):
                    first, second = self._drivers[name].decode(arrival.frame).measurements
                    found.append((round(10 * first.value), round(10 * second.value)))
        return found

    @property
    def is_up(self) -> list[bool]:
        return [each.is_available for each in self.intake.availabilities]


def _driver(unit: int) -> PollDriver:
    driver = named("modbus_rtu").create(Settings(model="RS-Modbus", options={"address": unit}))
    assert isinstance(driver, PollDriver)
    return driver


def answers_are_the_questions(agent: Intake, gateway: Gateway, *units: int) -> bool:
    """Whether each device's readings are its own, each to the question that was asked last."""
    for unit in units:
        said = agent.said(unit)
        assert {whose for whose, _ in said} == {unit}
        assert all(gateway.asked[number - 1] == unit for _, number in said)
        numbers = [number for _, number in said]
        assert numbers == sorted(set(numbers))
    return True


@pytest.mark.parametrize("framing", list(Framing))
async def test_devices_behind_one_address_are_asked_in_turn_over_one_connection(framing: Framing) -> None:
    units = (1, 2, 3)
    async with Gateway(*units, framing=framing) as gateway, Intake(gateway.port, units, framing) as agent:
        await until(lambda: all(len(agent.said(unit)) >= 3 for unit in units))
    assert gateway.asked[:6] == [1, 2, 3, 1, 2, 3]
    assert gateway.connections == 1
    assert answers_are_the_questions(agent, gateway, *units)


async def test_without_a_word_on_framing_it_is_modbus_tcp_and_the_host_may_be_of_ipv6() -> None:
    async with Gateway(1, host="::1") as gateway, Intake(gateway.port, [1], host="::1") as agent:
        await until(lambda: len(agent.said(1)) >= 2)


async def test_a_device_that_the_gateway_does_not_reach_is_gone_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The gateway's word is an answer: the connection stays."""
    async with Gateway(1) as gateway, Intake(gateway.port, [1, 2]) as agent:
        await until(lambda: agent.is_up == [True, False] and len(agent.said(1)) > 3)
        assert gateway.connections == 1
        gateway.units.add(2)
        await until(lambda: agent.is_up == [True, True] and bool(agent.said(2)))
    gone = [record.getMessage() for record in caplog.records if "th-2 is unavailable" in record.getMessage()]
    assert gone == ["device th-2 is unavailable: the device does not answer the gateway"]


@pytest.mark.parametrize("framing", list(Framing))
async def test_a_silent_device_keeps_no_neighbour_from_answering(framing: Framing) -> None:
    async with Gateway(1, 2, framing=framing) as gateway, Intake(gateway.port, [1, 2], framing) as agent:
        gateway.silent.add(2)
        await until(lambda: agent.is_up == [True, False] and len(agent.said(1)) > 2)
        gateway.silent.clear()
        await until(lambda: agent.is_up == [True, True] and bool(agent.said(2)))
    assert answers_are_the_questions(agent, gateway, 1, 2)


@pytest.mark.parametrize("framing", list(Framing))
async def test_an_answer_that_comes_too_late_is_never_taken_for_another(
    framing: Framing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One device answers its first three questions only after the limit."""
    monkeypatch.setattr(modbus_tcp_poll, "ANSWER_TIMEOUT_S", 0.3)
    async with Gateway(1, 2, framing=framing) as gateway, Intake(gateway.port, [1, 2], framing) as agent:
        gateway.late = lambda unit: 0.35 if unit == 2 and gateway.asked.count(2) <= 3 else 0.0
        await until(lambda: gateway.asked.count(2) > 5 and len(agent.said(2)) >= 2)
    assert answers_are_the_questions(agent, gateway, 1, 2)
    asked_late = [number for number, unit in enumerate(gateway.asked, start=1) if unit == 2][:3]
    assert not {number for _, number in agent.said(2)} & set(asked_late)


@pytest.mark.parametrize("framing", list(Framing))
async def test_half_an_answer_of_one_device_spoils_none_of_another(
    framing: Framing, caplog: pytest.LogCaptureFixture
) -> None:
    """What would be read behind it is its missing half."""
    async with Gateway(1, 2, framing=framing) as gateway, Intake(gateway.port, [1, 2], framing) as agent:
        gateway.halves.add(2)
        await until(lambda: gateway.asked.count(2) > 2 and len(agent.said(1)) > 3)
        assert agent.is_up == [True, False]
        gateway.halves.clear()
        await until(lambda: bool(agent.said(2)))
    assert answers_are_the_questions(agent, gateway, 1, 2)
    assert "th-1 is unavailable" not in caplog.text


async def test_a_gateway_that_hangs_up_after_each_answer_is_no_fault() -> None:
    async with Gateway(1, 2) as gateway, Intake(gateway.port, [1, 2]) as agent:
        gateway.hangs_up_after_each = True
        await until(lambda: len(agent.said(1)) > 3 and len(agent.said(2)) > 3)
        assert agent.is_up == [True, True]
    assert answers_are_the_questions(agent, gateway, 1, 2)


async def test_a_gateway_that_hangs_up_on_one_device_still_answers_for_the_other() -> None:
    async with Gateway(1, 2) as gateway, Intake(gateway.port, [1, 2]) as agent:
        gateway.hangs_up_on.add(1)
        await until(lambda: agent.is_up == [False, True] and len(agent.said(2)) > 3)
    assert answers_are_the_questions(agent, gateway, 2)


@pytest.mark.parametrize("framing", list(Framing))
async def test_a_gateway_whose_plug_is_pulled_takes_its_devices_down_and_is_found_again(framing: Framing) -> None:
    async with Gateway(1, 2, framing=framing) as gateway, Intake(gateway.port, [1, 2], framing) as agent:
        await until(lambda: bool(agent.said(1) and agent.said(2)))
        await gateway.unplug()
        await until(lambda: agent.is_up == [False, False])
        before = len(gateway.asked)
        await gateway.plug()
        await until(lambda: agent.is_up == [True, True] and len(gateway.asked) > before + 3)
    assert answers_are_the_questions(agent, gateway, 1, 2)


async def test_a_connection_is_given_up_when_nobody_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway may take one connection alone, and others may want it."""
    monkeypatch.setattr(modbus_tcp_poll, "LINGER_S", 0.001)
    async with Gateway(1) as gateway, Intake(gateway.port, [1]) as agent:
        await until(lambda: len(agent.said(1)) > 3)
    assert gateway.connections > 3
    assert gateway.most_at_once == 1


DEVICE: Final = """
[[device]]
id = "{id}"
room = "a-301"
role = "room_sensor"
driver = "{driver}"
{model}
tcp = {{ host = "{host}", port = {port}{more} }}
"""
SENSOR: Final = {
    "id": "one",
    "driver": "modbus_rtu",
    "model": 'model = "RS-Modbus"',
    "host": "gw.example",
    "port": 502,
    "more": "",
}


def configured(tmp_path: Path, *devices: dict[str, object]) -> list[str]:
    """The names of the intakes that a configuration comes to."""
    path = configure(tmp_path, "".join(DEVICE.format(**SENSOR | device) for device in devices))
    loaded = load(path)
    return [name for name, _ in device_intakes(loaded, bind(loaded), SystemClock(), lambda _: None)]


def test_devices_at_one_address_are_one_intake(tmp_path: Path) -> None:
    devices: list[dict[str, object]] = [
        {},
        {"id": "two", "host": "GW.example"},
        {"id": "three", "port": 503},
        {"id": "four", "host": "fd00::7"},
    ]
    assert configured(tmp_path, *devices) == ["gw.example:502", "gw.example:503", "[fd00::7]:502"]


def test_devices_at_one_address_in_two_framings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationMistakes) as error:
        configured(tmp_path, {}, {"id": "two", "more": ', framing = "rtu-over-tcp"'})
    (mistake,) = error.value.mistakes
    assert mistake.key == "device[2].tcp"
    assert "another framing" in mistake.what


def test_one_framing_said_and_unsaid_is_the_same(tmp_path: Path) -> None:
    assert configured(tmp_path, {}, {"id": "two", "more": ', framing = "modbus-tcp"'}) == ["gw.example:502"]


@pytest.mark.parametrize(
    ("device", "what"),
    [
        ({"driver": "pjlink", "model": "", "more": ', framing = "modbus-tcp"'}, "pjlink speaks no Modbus"),
        ({"more": ', framing = "ascii"'}, "modbus-tcp"),
        ({"host": "10.0.0.7:502"}, "name or an address alone"),
        ({"host": "[fd00::7]"}, "name or an address alone"),
        ({"host": ""}, "name or an address alone"),
    ],
)
def test_an_address_that_cannot_be(tmp_path: Path, device: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        configured(tmp_path, device)


async def test_nobody_at_the_address(caplog: pytest.LogCaptureFixture) -> None:
    async with Intake(free_port(), [1, 2]) as agent:
        await until(lambda: agent.is_up == [False, False])
    assert "th-1 is unavailable: Connection refused" in caplog.text
