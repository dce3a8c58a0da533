"""Wires the agent and supervises it: intakes, core, store thread, uplink, health page. It holds no logic."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import apsw

from broker.listener import Listener
from broker.publications import Publications
from broker.subscription import Login
from edge_agent.asking import Asking
from edge_agent.bindings import prepare
from edge_agent.clock_trust import Always, Confirmed
from edge_agent.core import Core
from edge_agent.discovery.telling import Teller
from edge_agent.driver_guard import DriverStopped, look_after, resident_bytes
from edge_agent.events import Acknowledge, Arrived, Commit, Hold, Resume, Send, Tick
from edge_agent.health import Health, HealthServer
from edge_agent.intake.device_intakes import device_intakes
from edge_agent.intake.exec_program import ExecIntake
from edge_agent.intake.listener import ListenerIntake
from edge_agent.intake.subscriber import SubscriberIntake, SubscriberToken
from edge_agent.local.wiring import local_pages
from edge_agent.lookout import leave_alone_who_was_stuck
from edge_agent.privacy.release import people_counts
from edge_agent.reporting import Surroundings
from edge_agent.room import room_of
from edge_agent.session_names import SessionNames
from edge_agent.state import State
from edge_agent.store import CommitTimes, Store, StoreThread
from edge_agent.store.epoch import new_epoch
from edge_agent.timing import Timing
from edge_agent.uplink import Uplink, probe
from telemetry import EnvironmentFault, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from edge_agent.asking import Way
    from edge_agent.bindings import Prepared
    from edge_agent.clock_trust import ClockTrust
    from edge_agent.config_file import LoadedConfiguration
    from edge_agent.events import Batch, Effect, Event
    from edge_agent.intake import DeviceIntake
    from telemetry import Clock

_log = logging.getLogger(__name__)

TICK_S: Final = 0.02
"""How often the core is told that time passed: a fifth of the group commit's wait."""
LONGEST_FAREWELL_S: Final = 10.0
CONFIRM_EVERY_S: Final = 10.0


class StoreFailed(EnvironmentFault):
    """The disk failed under the store; nothing more may be acknowledged."""

    code = "store_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Where tests put their hands in: disk, network, and the word given back to devices."""

    wrap_store: Callable[[Store], Store] = lambda store: store
    transport: httpx.AsyncBaseTransport | None = None
    clock_trust: ClockTrust | None = None
    wrap_acknowledge: Callable[[Callable[[Acknowledge], None]], Callable[[Acknowledge], None]] = lambda call: call


class Agent:
    """One agent, from its configuration to its end."""

    def __init__(self, loaded: LoadedConfiguration, clock: Clock, seams: Seams | None = None) -> None:
        """Check all that needs no connection. Raises `ConfigurationError`, `EnvironmentFault`."""
        seams = seams or Seams()
        tables = loaded.tables
        self._tables = tables
        self._clock = clock
        is_own = isinstance(clock, SystemClock) and not tables.windows.trust_clock
        self._clock_trust = seams.clock_trust or (Confirmed(clock) if is_own else Always())
        prepared = prepare(loaded)
        self._admission = prepared.admission
        self._listener_clients = prepared.clients
        self._listener_tls = prepared.tls
        self._store = seams.wrap_store(Store(loaded.state_folder, new_epoch=new_epoch))
        self._names = SessionNames.of(loaded.state_folder, self._store.rename_sessions)
        self._subscriber = self._subscriber_of(loaded, prepared)
        recovered = self._store.load(clock.now() - tables.windows.lateness_s * 1000)
        self._arrived: list[Batch] = []
        """What came in since the loop was last here."""
        self._remembered = {session: recovered.exchanges.get(session, ()) for session in recovered.receipts}
        self._remembered.update(recovered.exchanges)
        timetable = tables.school_hours
        state = State.rebuild(recovered, timetable, self._admission.bindings)
        surroundings = Surroundings(
            version_number(),
            int.from_bytes(loaded.digest[:6]),
            room_of(loaded, self._admission.bindings, loaded.state_folder),
            self._clock_trust,
        )
        self.core = Core(
            school=tables.agent.school,
            admission=self._admission,
            state=state,
            clock=clock,
            rng=random.Random(),  # noqa: S311 - spreads retries, guards nothing
            timing=_timing(loaded),
            surroundings=surroundings,
            new_epoch=new_epoch,
            people=people_counts(
                loaded.policy.tables.P2,
                timetable,
                state=state,
                bindings=self._admission.bindings,
                school=tables.agent.school,
                clock=clock,
                waits_at_first=isinstance(clock, SystemClock),
            ),
        )
        self._uplink = Uplink(
            tables.uplink.url,
            prepared.token,
            read_token=lambda: loaded.read_secret(tables.uplink.token_file),
            district=tables.agent.district,
            school=tables.agent.school,
            report=self._handle,
            heard=self._clock_trust.heard,
            certificate=surroundings.certificate,
            tls=tables.uplink.tls(loaded.folder),
            transport=seams.transport,
        )
        self._acknowledge = seams.wrap_acknowledge(self._hand_back)
        self._listener: Listener | None = None
        self._listener_intake = ListenerIntake(clock, self._deliver, self._admission.device_at)
        self._thread: StoreThread | None = None
        self._polled = device_intakes(loaded, self._admission, clock, self._deliver)
        self._programs = [intake for _, intake in self._polled if isinstance(intake, ExecIntake)]
        self._asking = Asking(self._admission, clock, random.Random(), self._ways)  # noqa: S311 - spreads requests
        self._commit_times = CommitTimes()
        self.health = HealthServer(
            Health(
                report=self.core.report,
                counts=lambda: self.core.state.counts,
                unavailable=self._unavailable,
                uplink_up=lambda: self._uplink.is_up,
                broker_up=None if (subscriber := self._subscriber) is None else lambda: subscriber.is_up,
                next_retry_s=lambda: max(0.0, self.core.delivery.next_try - clock.monotonic()),
                people=lambda: self.core.people.obstacle,
                buffer=lambda: (self.core.state.used_bytes, self.core.pressure.is_holding),
                commit_times=self._commit_times,
                listener=lambda: self._listener,
                program_errors=self._program_errors,
                asking=self._asking,
            ),
            tables.health.port,
        )
        leave_alone_who_was_stuck(loaded.state_folder, self._admission, clock.now())
        self._teller = Teller(loaded.state_folder, self._admission)
        self.pages = local_pages(loaded, self.core, loaded.state_folder, clock, self._teller.unplaced)
        self._failure: asyncio.Future[None] | None = None

    @property
    def listener_port(self) -> int | None:
        """The port devices connect to, once the agent runs; None where there is none."""
        return self._listener.port or None if self._listener is not None else None

    @property
    def listener_tls_port(self) -> int | None:
        """The same with TLS."""
        return self._listener.tls_port or None if self._listener is not None else None

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; then commit what is pending and leave. Raises `EnvironmentFault`."""
        loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        loop.set_exception_handler(self._crashed)
        self._thread = StoreThread(self._store, loop, self._handle, self._failed, self._commit_times)
        self._admission.guard.begin()
        try:
            await self._start_listener()
            await self.health.start()
            await self._teller.start()
            if self.pages is not None:
                await self.pages.start()
            on_ready()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._uplink.run(), name="uplink"),
                    group.create_task(self._tick(), name="tick"),
                    group.create_task(self._confirm_clock(), name="clock"),
                    group.create_task(self._asking.run(), name="asking"),
                    group.create_task(look_after(self._admission.bindings, resident_bytes()), name="drivers"),
                    *(group.create_task(_supervised(intake), name=f"intake {name}") for name, intake in self._polled),
                ]
                if self.pages is not None:
                    tasks.append(group.create_task(self.pages.run(), name="pages"))
                if self._subscriber is not None:
                    tasks.append(group.create_task(self._subscriber.run(), name="intake subscriber"))
                stopping = group.create_task(stop.wait(), name="stop")
                ends: set[asyncio.Future[Any]] = {stopping, self._failure}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for task in (stopping, *tasks):
                    task.cancel()
            if not self._failure.done():
                await self._farewell()
            if self._failure.done():
                self._failure.result()
        finally:
            await self._end()

    def _subscriber_of(self, loaded: LoadedConfiguration, prepared: Prepared) -> SubscriberIntake | None:
        table = self._tables.subscriber
        if table is None:
            return None
        password = prepared.broker_password
        login = Login(client_id=table.client_id, topics=table.topics, username=table.username, password=password)
        read_password = partial(loaded.read_secret, table.password_file) if table.password_file else None
        session = self._names(f"broker/{table.client_id}")
        return SubscriberIntake(
            table.address,
            login,
            session=session,
            clock=self._clock,
            deliver=self._deliver,
            tls=prepared.broker_tls,
            read_password=read_password,
        )

    async def _start_listener(self) -> None:
        table = self._tables.listener
        if table is None:
            return
        self._listener = Listener(
            table.addresses,
            credentials=self._listener_clients,
            handler=self._listener_intake,
            limits=table.limits.limits(),
            tls=self._listener_tls,
            remembered=self._remembered,
            presence=self._listener_intake.tell,
            name_session=self._names,
        )
        await self._listener.start()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._handle(Tick())

    async def _confirm_clock(self) -> None:
        """Ask the centre for the time for as long as nobody else has confirmed the clock."""
        url = self._tables.uplink.url
        while True:
            if not self._clock_trust.holds():
                seen = await asyncio.to_thread(
                    probe, url, self._uplink.token, self._uplink.tls, timeout_s=CONFIRM_EVERY_S
                )
                if seen.offset_s is not None:
                    self._clock_trust.heard(seen.offset_s)
            await asyncio.sleep(CONFIRM_EVERY_S)

    async def _farewell(self) -> None:
        """Commit and acknowledge what came in, then send the devices away and commit what came meanwhile."""
        await self._settle()
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
        await self._settle()

    async def _settle(self) -> None:
        assert self._failure is not None
        self.core.flush()
        deadline = self._clock.monotonic() + LONGEST_FAREWELL_S / 2
        self._handle(Tick())
        while not (self.core.is_idle or self._failure.done() or self._clock.monotonic() > deadline):
            await asyncio.sleep(TICK_S)
            self._handle(Tick())

    async def _end(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
        await self.health.stop()
        await self._teller.stop()
        if self.pages is not None:
            await self.pages.stop()
        self._admission.guard.end()
        assert self._thread is not None
        self._thread.stop()
        self._store.close()

    def _deliver(self, batch: Batch) -> None:
        """Hand a batch to the core from the loop itself: a mistake there ends the agent, not the intake.

        All that comes in one turn of the loop goes together: a call of its own costs as much as decoding a message.
        """
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._take_in)
        self._arrived.append(batch)

    def _take_in(self) -> None:
        arrived, self._arrived = self._arrived, []
        self._handle(Arrived(arrived))

    def _handle(self, event: Event) -> None:
        for effect in self.core.handle(event):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Commit(transaction):
                assert self._thread is not None
                self._thread.submit(transaction)
            case Acknowledge():
                self._acknowledge(effect)
            case Send():
                self._uplink.offer(effect)
            case Hold() | Resume():
                for intake in (self._listener, self._subscriber, *self._programs):
                    if intake is not None:
                        intake.hold() if isinstance(effect, Hold) else intake.resume()

    def _hand_back(self, effect: Acknowledge) -> None:
        for batch in effect.batches:
            match batch.token:
                case Publications() if self._listener is not None:
                    self._listener.acknowledge(batch.token)
                case SubscriberToken() if self._subscriber is not None:
                    self._subscriber.acknowledge(batch)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, apsw.Error):
            error = StoreFailed(
                f"the store cannot be written: {type(error).__name__}",
                why="what is not on disk may not be acknowledged; devices and broker keep it",
                fix="check the disk (`df`, `dmesg`), then start the agent again",
            )
        self._end_with(error)

    def _crashed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of the program ends it: better gone, and started again, than there and idle."""
        loop.default_exception_handler(context)
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):  # the machine's word, such as too many open files
            self._end_with(error)

    def _end_with(self, error: BaseException) -> None:
        assert self._failure is not None
        if not self._failure.done():
            self._failure.set_exception(error)

    def _ways(self) -> list[Way]:
        return [way for way in (self._listener, self._subscriber) if way is not None]

    def _unavailable(self) -> int:
        asked = sum(not each.is_available for _, intake in self._polled for each in intake.availabilities)
        return asked + self._listener_intake.unavailable + self._admission.suspended

    def _program_errors(self) -> int:
        return sum(intake.error_lines for intake in self._programs)


async def _supervised(intake: DeviceIntake) -> None:
    """Keep an intake running whatever its driver raises, so that no vendor's mistake reaches the others."""
    while True:
        try:
            await intake.run()
        except Exception as error:  # noqa: BLE001 - the supervisor's boundary
            what = str(error) if isinstance(error, DriverStopped) else f"its driver fails with {type(error).__name__}"
            await asyncio.sleep(max(each.down(what) for each in intake.availabilities))


def version_number() -> int:
    """This program's version as major * 10000 + minor * 100 + patch."""
    major, minor, patch = (int(part) for part in version("bansui").split(".")[:3])
    return major * 10_000 + minor * 100 + patch


def _timing(loaded: LoadedConfiguration) -> Timing:
    tables = loaded.tables
    return Timing(
        group_commit_s=tables.store.group_commit_ms / 1000,
        checkpoint_s=tables.store.checkpoint_s,
        lateness_ms=tables.windows.lateness_s * 1000,
        batch_every_s=tables.uplink.interval_s,
        report_every_s=tables.uplink.report_s,
        retry_s=tables.uplink.retry_s,
        ledger_ms=tables.store.ledger_days * 86_400_000,
    )
