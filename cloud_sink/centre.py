"""The parts of one centre, opened in order and closed in reverse."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_sink.access import Access
from cloud_sink.admission import Admission
from cloud_sink.catalogue import Catalogue
from cloud_sink.decoding import Decoding
from cloud_sink.follower import Follower
from cloud_sink.hours import HoursOfSchools
from cloud_sink.inbox import Inbox
from cloud_sink.live import Live
from cloud_sink.memory import Memory
from cloud_sink.projector import Projector
from cloud_sink.state_folder import locked
from cloud_sink.store_duckdb import DuckDbStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
    from zoneinfo import ZoneInfo

    from cloud_sink.config import District, LoadedConfig
    from cloud_sink.store import Store
    from telemetry import Clock
    from telemetry.policy import Policy
    from telemetry.timetable_table import TimetableTable
    from telemetry.uplink_contract import AgentReport


@dataclass(frozen=True, slots=True)
class Balance:
    """What one agent sent, what of it is stored, and its own last report."""

    agent: str
    school: str
    batches: int
    reports: int
    summaries_received: int
    summaries_stored: int
    summaries_forgotten: int
    applied: str | None
    report: AgentReport | None


@dataclass(frozen=True, slots=True)
class Centre:
    """Everything a request may need; `background` is to be kept running beside it."""

    clock: Clock
    timezone: ZoneInfo
    timetables: Mapping[str, TimetableTable]
    """By school, where it has one."""
    district: District
    access: Access
    admission: Admission
    catalogue: Catalogue
    decoding: Decoding
    inbox: Inbox
    store: Store
    memory: Memory
    live: Live
    projector: Projector
    policy: Policy
    """What is kept for how long, for what and for whom."""
    follower: Follower | None
    """What brings everything into a second store, where there is one."""

    def background(self) -> list[Coroutine[None, None, None]]:
        """What is to run as long as the centre serves."""
        return [self.projector.run(), *([self.follower.run()] if self.follower else [])]

    async def balances(self) -> list[Balance]:
        """The balance of every agent that may write."""
        counts = await self.store.counts()
        tallies = {tally.agent: tally for tally in await self.inbox.tallies()}
        balances = []
        for agent in await self.catalogue.agents():
            tally, count = tallies.get(agent.id), counts.get(agent.id)
            balances.append(
                Balance(
                    agent=agent.id,
                    school=agent.school,
                    batches=tally.batches if tally else 0,
                    reports=tally.reports if tally else 0,
                    summaries_received=tally.lines if tally else 0,
                    summaries_stored=count.distinct if count else 0,
                    summaries_forgotten=count.forgotten if count else 0,
                    applied=tally.applied if tally else None,
                    report=self.memory.latest.reports.get(agent.id),
                )
            )
        return balances


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Where tests put their hands in: the inbox's disk, and around what makes a batch durable and stores it."""

    vfs: str | None = None
    """The inbox's file system, as SQLite knows it by name."""
    wrap_inbox: Callable[[Inbox], Inbox] = lambda inbox: inbox
    wrap_store: Callable[[Store], Store] = lambda store: store


@contextlib.asynccontextmanager
async def open_centre(loaded: LoadedConfig, clock: Clock, seams: Seams | None = None) -> AsyncIterator[Centre]:
    """Open the state folder, project what a crash left over, and hand out the centre."""
    seams = seams or Seams()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(locked(loaded.state))
        store = seams.wrap_store(DuckDbStore(loaded.state / "summaries.duckdb"))
        stack.push_async_callback(store.close)
        inbox = seams.wrap_inbox(Inbox(loaded.state, clock.now, projected=await store.position(), vfs=seams.vfs))
        stack.push_async_callback(inbox.close)
        catalogue = await Catalogue.open(loaded.state / "catalogue.sqlite", loaded)
        stack.push_async_callback(catalogue.close)
        decoding = Decoding()
        stack.callback(decoding.close)
        schools = {agent.id: agent.school for agent in await catalogue.agents()}
        memory, live = Memory(loaded.policy, HoursOfSchools(schools)), Live()
        projector = Projector(
            inbox=inbox,
            store=store,
            catalogue=catalogue,
            decoding=decoding,
            memory=memory,
            live=live,
            clock=clock,
            policy=loaded.policy,
        )
        await projector.start()
        follower = None
        if (table := loaded.config.victoria_metrics) is not None:
            from cloud_sink.victoria_metrics import VictoriaMetrics  # noqa: PLC0415 - few centres need an HTTP client

            target = VictoriaMetrics(table.url)
            stack.push_async_callback(target.close)
            file = loaded.state / "victoria-metrics.position"
            follower = Follower(target, inbox=inbox, decoding=decoding, projector=projector, file=file)
        # What an agent had that may not write for the school any more is for whoever tells of it next.
        owners = {
            (device.school, device.id): device.agent
            for device in await catalogue.devices()
            if schools.get(device.agent) == device.school
        }
        yield Centre(
            clock=clock,
            timezone=loaded.timezone,
            district=loaded.config.centre.district,
            access=Access(await catalogue.agents()),
            admission=Admission(loaded.timezone, owners),
            catalogue=catalogue,
            decoding=decoding,
            inbox=inbox,
            store=store,
            memory=memory,
            timetables=loaded.timetables,
            live=live,
            projector=projector,
            policy=loaded.policy,
            follower=follower,
        )
