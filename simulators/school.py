"""A simulated school, running: its devices on real wires, its day at its pace, its faults at their time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulators.afflictions import Afflictions
from simulators.broker_watch import BrokerWatch
from simulators.devices import Devices, driver_of, stamps, transport_of
from simulators.faults import FaultMalformed, Target
from simulators.pace import Pace, Progress
from simulators.relay import Relay
from simulators.sabotage import sabotaged
from simulators.striker import Striker
from simulators.truth import DeviceTruth, Truth, write_json
from simulators.wires import Wires
from simulators.wiring import HOST, wiring

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from simulators.emissions import Emission
    from simulators.faults import Fault
    from simulators.sabotage import Sabotage
    from simulators.scenarios import Scenario
    from telemetry import ScaledClock

PATIENCE_S: Final = 60.0
"""How long, at the end of the day, what has been sent may take to be confirmed."""
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
    patience_s: float = PATIENCE_S
    watch: BrokerWatch = field(default_factory=BrokerWatch)
    """Hears whether devices reach the broker."""
    tls: ssl.SSLContext | None = None
    """Whom devices believe to be the broker, where they speak TLS to it."""
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
    forgotten: int
    """Messages that devices lost with their power: without a PUBACK, and rightly so."""
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
        self._truth = Truth(run.scenario, run.seed, run.clock, self._actual)
        self._afflictions = Afflictions(run.faults, self._devices)
        self._truth.afflicted(self._afflictions.touches)
        self._wires = Wires(
            self._devices,
            run.clock,
            answered=self._answered,
            perceive=self._perceive_now,
            faults=self._faults_now,
            commanded=self._commanded,
        )
        self._relay = Relay(run.relay_to) if run.relay_to is not None else None
        strikes_broker = any(fault.kind.strikes is Target.BROKER for fault in run.faults)
        self._broker_relay = Relay(run.broker) if strikes_broker else None
        self._progress = Progress()
        self._striker = Striker(
            self._pace,
            self._truth,
            self._relay,
            run.agent_pid_file,
            self._broker_relay,
            self._wires,
            self._progress,
            run.watch,
        )
        self._missed: list[str] = []
        self._publish: Callable[[Emission, Callable[[], None]], None] = self._offer
        if run.sabotage is not None:
            self._publish = sabotaged(self._offer, run.sabotage)

    async def open(self) -> dict[str, object]:
        """Open every wire, write the wiring file, and return what is in it. Raises `BansuiError`."""
        self._striker.check(self._run.faults)
        for model in self._run.scenario.device:
            self._truth.devices[model.id] = DeviceTruth(
                driver_of(model), transport_of(model), model.cadence_s * 1000, stamps=stamps(model)
            )
        await self._wires.open()
        broker = self._run.broker
        if self._broker_relay is not None:
            await self._broker_relay.open()
            broker = (HOST, self._broker_relay.port)
            if self._run.tls is not None:
                self._run.tls.check_hostname = False  # the broker's certificate is not for the relay's address
        if self._relay is not None:
            await self._relay.open()
        document = wiring(
            self._devices,
            self._run.clock,
            serial_ports=self._wires.serial_ports,
            tcp_ports=self._wires.tcp_ports,
            relay_port=None if self._relay is None else self._relay.port,
        )
        if self._run.wiring_file is not None:
            write_json(self._run.wiring_file, document)
        self._wires.connect(broker, self._run.watch, self._run.tls)
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
        await self._wires.fall_silent()
        if self._run.truth_file is not None:
            write_json(self._run.truth_file, self._truth.document())
        return self._outcome()

    async def linger(self) -> None:
        """Keep the relay and the serial lines open until `stop`; nothing is said over them any more."""
        await self._stopping.wait()

    async def close(self) -> None:
        """Close every wire; harmless after a failed `open`."""
        await self._wires.close()
        for relay in (self._relay, self._broker_relay):
            if relay is not None:
                await relay.close()

    def _actual(self, device: str, quantity: str) -> float | None:
        return self._devices.senses[device].room.actual(quantity)

    def _perceive_now(self, device: str) -> bool:
        now_ms = self._run.clock.now()
        self._afflictions.perceive(device, now_ms)
        return not self._afflictions.is_silent(device, now_ms)

    def _faults_now(self, device: str) -> frozenset[str]:
        return self._afflictions.afflicting(device, self._run.clock.now())

    def _answered(self, device: str, readings: int, is_delivered: bool) -> None:
        truth = self._truth.devices[device]
        if is_delivered:
            truth.confirmed(readings)
        else:
            truth.sent(readings)

    def _commanded(self, device: str, payload: bytes) -> None:
        """What a device says to a command repeats what it measured before: the truth of its windows stays."""
        now_ms, emitter = self._run.clock.now(), self._devices.commanded(device)
        if emitter is None or self._afflictions.is_silent(device, now_ms):
            return
        if (emission := emitter.obey(payload, now_ms)) is not None:
            truth, readings = self._truth.devices[device], len(emission.readings)
            truth.sent(readings)
            self._publish(emission, lambda: truth.confirmed(readings))

    async def _day(self) -> None:
        for emission in self._devices.day(self._afflictions.perceive):
            await self._pace.until(emission.event_ms)
            await self._progress.reach(emission.event_ms)
            for frame in self._afflictions.pass_on(emission):
                await self._speak(frame)
        for frame in self._afflictions.rest():
            await self._speak(frame)
        await self._pace.until(self._run.scenario.end_ms)

    async def _speak(self, emission: Emission) -> None:
        device, readings = self._truth.devices[emission.device], len(emission.readings)
        if not emission.topic:
            self._truth.emitted(emission)
            if self._wires.write(emission.device, emission.payload):
                device.confirmed(readings)
            return
        await self._wires.client(emission.device).has_room()
        self._truth.emitted(emission)
        self._publish(emission, lambda: device.confirmed(readings))

    def _offer(self, emission: Emission, confirmed: Callable[[], None]) -> None:
        self._wires.client(emission.device).offer(emission.topic, emission.payload, confirmed)

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
        while self._wires.unconfirmed:
            patience_s = _HURRIED_S if self._stopping.is_set() else self._run.patience_s
            if loop.time() - ended > patience_s:
                return
            await asyncio.sleep(_POLL_S)

    def _outcome(self) -> Outcome:
        devices = self._truth.devices.values()
        return Outcome(
            frames_sent=sum(device.frames_sent for device in devices),
            readings_sent=sum(device.readings_sent for device in devices),
            unconfirmed=self._wires.unconfirmed,
            refused=self._wires.refused,
            forgotten=sum(device.frames_forgotten for device in devices),
            missed=tuple(self._missed),
            was_stopped=self._stopping.is_set(),
        )


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
