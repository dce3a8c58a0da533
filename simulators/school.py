"""A simulated school, running: its devices on real wires, its day at its pace, its faults at their time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from paho.mqtt.enums import MQTTProtocolVersion

from simulators.asked_line import AskedLine
from simulators.devices import Devices, client_of, driver_of, is_asked, line_of, stamps, transport_of
from simulators.faults import FaultMalformed, Striker
from simulators.mqtt_client import DeviceClient
from simulators.pace import Pace
from simulators.pjlink_server import ProjectorServer
from simulators.plantower import SerialLine
from simulators.relay import Relay
from simulators.sabotage import sabotaged
from simulators.truth import DeviceTruth, Truth, write_json
from simulators.wiring import wiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulators.emissions import Emission
    from simulators.faults import Fault
    from simulators.sabotage import Sabotage
    from simulators.scenarios import Scenario
    from telemetry import ScaledClock

_POLL_S: Final = 0.05
_HURRIED_S: Final = 2.0
"""How long a school that is told to stop still waits for what it has sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run is made of; everything but the first four may be left out."""

    scenario: Scenario
    seed: int
    clock: ScaledClock
    broker: tuple[str, int]
    wiring_file: Path | None = None
    truth_file: Path | None = None
    relay_to: tuple[str, int] | None = None
    agent_pid_file: Path | None = None
    faults: list[Fault] = field(default_factory=list)
    sabotage: Sabotage | None = None
    patience_s: float = 60.0
    """How long, at the end of the day, it waits for what has been sent to be confirmed."""
    stay: bool = False
    """Keep the relay open after the day until told to stop: an agent may still have summaries to send."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    frames_sent: int
    readings_sent: int
    unconfirmed: int
    """Messages without a PUBACK at the end."""
    refused: int
    """Messages the broker answered with an error."""
    missed: tuple[str, ...]
    """Faults that did not take place, with the reason."""
    was_stopped: bool

    @property
    def is_complete(self) -> bool:
        """Whether everything happened, and all that was sent was confirmed."""
        return not (self.unconfirmed or self.refused or self.missed)


class School:
    """One run. `open`, then `live`, then `close`; `stop` at any time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._devices = Devices(run.scenario, run.seed)
        self._pace = Pace(run.clock)
        self._stopping = asyncio.Event()
        self._truth = Truth(run.scenario.name, run.seed, run.clock)
        self._relay = Relay(run.relay_to) if run.relay_to is not None else None
        self._striker = Striker(self._pace, self._truth, self._relay, run.agent_pid_file)
        self._missed: list[str] = []
        self._lines: dict[str, SerialLine] = {}
        self._asked_lines: dict[str, AskedLine] = {}
        self._servers: dict[str, ProjectorServer] = {}
        self._clients: dict[str, DeviceClient] = {}
        self._client_of: dict[str, DeviceClient] = {}
        self._connecting: list[asyncio.Task[None]] = []
        self._publish: Callable[[Emission, Callable[[], None]], None] = self._offer
        if run.sabotage is not None:
            self._publish = sabotaged(self._offer, run.sabotage)

    async def open(self) -> dict[str, object]:
        """Open every wire, write the wiring file, and return what is in it. Raises `BansuiError`."""
        self._striker.check(self._run.faults)
        for model in self._run.scenario.device:
            transport = transport_of(model)
            self._truth.devices[model.id] = DeviceTruth(
                driver_of(model), transport, model.cadence_s * 1000, stamps=stamps(model)
            )
            if transport == "serial" and not is_asked(model):
                self._lines[model.id] = SerialLine()
        for name, devices in self._devices.asked.items():
            self._asked_lines[name] = AskedLine(self._answered)
            self._asked_lines[name].devices += devices
        for projector in self._devices.projectors:
            server = ProjectorServer(
                projector,
                self._run.clock,
                password=self._devices.passwords[projector.id],
                on_answer=_answer_counter(self._truth.devices[projector.id]),
            )
            await server.open()
            self._servers[projector.id] = server
        if self._relay is not None:
            await self._relay.open()
        document = wiring(
            self._devices,
            serial_ports=self._serial_ports(),
            tcp_ports={name: server.port for name, server in self._servers.items()},
            relay_port=None if self._relay is None else self._relay.port,
        )
        if self._run.wiring_file is not None:
            write_json(self._run.wiring_file, document)
        self._connect()
        return document

    def stop(self) -> None:
        """End the day early; harmless at any time."""
        self._stopping.set()

    async def live(self) -> Outcome:
        """Live the day, wait until what was sent is confirmed, hang up on callers, write the truth."""
        faults = [asyncio.create_task(self._strike(fault)) for fault in self._run.faults]
        day = asyncio.create_task(self._day())
        try:
            await self._unless_stopped(day)
        finally:
            for task in (day, *faults):
                task.cancel()
            await asyncio.gather(day, *faults, return_exceptions=True)
        await self._settle()
        # what is asked after the truth is written would be missing from it
        for server in self._servers.values():
            await server.close()
        for asked in self._asked_lines.values():
            asked.close()
        if self._run.truth_file is not None:
            write_json(self._run.truth_file, self._truth.document())
        return self._outcome()

    async def linger(self) -> None:
        """Keep the relay and the serial lines open until `stop`; nothing is said over them any more."""
        await self._stopping.wait()

    async def close(self) -> None:
        """Close every wire; harmless after a failed `open`."""
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        for server in self._servers.values():
            await server.close()
        for line in self._lines.values():
            line.close()
        for asked in self._asked_lines.values():
            asked.close()
        if self._relay is not None:
            await self._relay.close()

    def _serial_ports(self) -> dict[str, str]:
        ports = {name: line.port for name, line in self._lines.items()}
        asked = [model for model in self._run.scenario.device if is_asked(model)]
        return ports | {model.id: self._asked_lines[line_of(model)].port for model in asked}

    def _answered(self, device: str, readings: int, is_delivered: bool) -> None:
        _answer_counter(self._truth.devices[device])(readings, is_delivered)

    def _connect(self) -> None:
        for model in self._run.scenario.device:
            if transport_of(model) != "mqtt":
                continue
            name = client_of(model)
            if name not in self._clients:
                is_old = model.mqtt_version == "3.1.1"
                protocol = MQTTProtocolVersion.MQTTv311 if is_old else MQTTProtocolVersion.MQTTv5
                password = self._devices.passwords[name]
                client = DeviceClient(name, password, self._run.broker, protocol=protocol)
                self._clients[name] = client
                self._connecting.append(asyncio.create_task(client.run(), name=f"mqtt/{name}"))
            self._client_of[model.id] = self._clients[name]

    async def _day(self) -> None:
        for emission in self._devices.day():
            await self._pace.until(emission.event_ms)
            if emission.topic:
                await self._speak(emission)
            else:
                self._truth.emitted(emission)
                if self._lines[emission.device].write(emission.payload):
                    self._truth.devices[emission.device].confirmed(len(emission.readings))
        await self._pace.until(self._run.scenario.end_ms)

    async def _speak(self, emission: Emission) -> None:
        await self._client_of[emission.device].has_room()
        self._truth.emitted(emission)
        device, readings = self._truth.devices[emission.device], len(emission.readings)
        self._publish(emission, lambda: device.confirmed(readings))

    def _offer(self, emission: Emission, confirmed: Callable[[], None]) -> None:
        self._client_of[emission.device].offer(emission.topic, emission.payload, confirmed)

    async def _strike(self, fault: Fault) -> None:
        try:
            await self._striker.strike(fault)
        except FaultMalformed as error:
            self._missed.append(f"{fault.name}: {error}")

    async def _unless_stopped(self, day: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((day, stopping), return_when=asyncio.FIRST_COMPLETED)
            if day.done():
                day.result()
        finally:
            stopping.cancel()

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        ended = loop.time()
        while self._unconfirmed():
            patience_s = _HURRIED_S if self._stopping.is_set() else self._run.patience_s
            if loop.time() - ended > patience_s:
                return
            await asyncio.sleep(_POLL_S)

    def _unconfirmed(self) -> int:
        return sum(client.waiting for client in self._clients.values())

    def _outcome(self) -> Outcome:
        devices = self._truth.devices.values()
        return Outcome(
            frames_sent=sum(device.frames_sent for device in devices),
            readings_sent=sum(device.readings_sent for device in devices),
            unconfirmed=self._unconfirmed(),
            refused=sum(client.refused for client in self._clients.values()),
            missed=tuple(self._missed),
            was_stopped=self._stopping.is_set(),
        )


def _answer_counter(device: DeviceTruth) -> Callable[[int, bool], None]:
    def count(readings: int, is_delivered: bool) -> None:
        if is_delivered:
            device.confirmed(readings)
        else:
            device.sent(readings)

    return count


async def run_school(
    run: Run,
    *,
    ready: Callable[[School, dict[str, object]], None] = lambda _school, _wiring: None,
    done: Callable[[Outcome], None] = lambda _outcome: None,
) -> Outcome:
    """Open a school, tell `ready`, live its day, tell `done`, and close it whatever happens."""
    school = School(run)
    try:
        ready(school, await school.open())
        outcome = await school.live()
        done(outcome)
        if run.stay and not outcome.was_stopped:
            await school.linger()
        return outcome
    finally:
        await school.close()
