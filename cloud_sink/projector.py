"""The projection: what the inbox took goes into the catalogue, the store and the pages, once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from cloud_sink.catalogue import Seen
from cloud_sink.freshness import believed_until
from cloud_sink.hearing import KEPT_MS
from cloud_sink.hours import first_day
from cloud_sink.inbox import Kind
from cloud_sink.latest import MAIN
from cloud_sink.quality import MOVES, kept_from
from cloud_sink.retention import expiries
from cloud_sink.store import Projected, StoreFull
from telemetry.air import AIR_ACT_PPM, AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloud_sink.catalogue import Catalogue
    from cloud_sink.decoding import Decoding
    from cloud_sink.inbox import Inbox, StoredBatch
    from cloud_sink.live import Live
    from cloud_sink.memory import Memory
    from cloud_sink.store import Store
    from telemetry import Clock
    from telemetry.policy import Policy

MOST_BATCHES: Final = 32
PRUNE_EVERY_S: Final = 600.0
FORGET_EVERY_S: Final = 3600.0
ROOM_EVERY_S: Final = 2.0
"""How often a full disk is tried again."""
_log = logging.getLogger(__name__)


class Projector:
    """Follows the inbox; its place is the store's own position, so a kill repeats nothing and loses nothing."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        store: Store,
        catalogue: Catalogue,
        decoding: Decoding,
        memory: Memory,
        live: Live,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._inbox = inbox
        self._store = store
        self._catalogue = catalogue
        self._decoding = decoding
        self._memory = memory
        self._live = live
        self._clock = clock
        self._policy = policy
        self.followed_to: Callable[[], int] = lambda: self.position
        """Where a store that follows has everything for good: the inbox keeps for it what is behind that."""
        self.position = 0
        self.is_full = False
        """Whether the store had no room at the last try."""
        self._is_clock_ahead = False

    async def start(self) -> None:
        """Read where the store stands, remember its last day, and project what it does not have yet."""
        memory, now_ms = self._memory, self._clock.now()
        from_ms, until_ms = now_ms - KEPT_MS, believed_until(now_ms)
        self.position = await self._store.position()
        memory.latest.take(await self._store.latest(until_ms))
        for agent, day, hours in await self._store.hours(first_day(now_ms)):
            memory.hours.of_agent(agent).note(day, hours, now_ms)
        for agent, report in (await self._store.reports()).items():
            memory.latest.reports[agent] = report
            memory.hours.of_agent(agent).take(report, now_ms)
        for school, room, device, channel, start_ms, mean in await self._store.means(AIR_QUANTITY, from_ms, until_ms):
            memory.episodes.note((school, room, device, channel), start_ms, mean)
        for name in MOVES:
            windows = await self._store.means(name, kept_from(name, now_ms), until_ms)
            for school, room, device, channel, start_ms, mean in sorted(windows, key=itemgetter(4)):
                memory.sensors.note(school, name, (room, device, channel), start_ms, mean)
        memory.tallies.count(await self._store.spans(MAIN, (AIR_QUANTITY, AIR_ACT_PPM), from_ms, until_ms))
        memory.hearing.take(await self._inbox.heard(from_ms))
        memory.copies.update(await self._inbox.copies())
        await self._catch_up()

    async def run(self) -> None:
        """Follow the inbox until cancelled. Raises `InboxFault` when it takes no more: a restart alone can help."""
        loop = asyncio.get_running_loop()
        prune_at = forget_at = loop.time()
        while True:
            self._inbox.arrived.clear()
            await self._catch_up()
            if self._inbox.broken is not None:
                raise self._inbox.broken
            if loop.time() >= prune_at:
                prune_at = loop.time() + PRUNE_EVERY_S
                await self._inbox.prune(min(self.position, self.followed_to()))
            if loop.time() >= forget_at:
                forget_at = loop.time() + FORGET_EVERY_S
                await self._forget()
            try:
                await asyncio.wait_for(self._inbox.arrived.wait(), ROOM_EVERY_S if self.is_full else PRUNE_EVERY_S)
            except TimeoutError:
                continue

    async def _forget(self) -> None:
        """Keep nothing for longer than the policy says; on a full disk, when there is room.

        By a clock that is further ahead than is believed, nothing is deleted.
        """
        now_ms = self._clock.now()
        was_ahead, self._is_clock_ahead = self._is_clock_ahead, self._memory.is_clock_ahead(now_ms)
        if self._is_clock_ahead:
            if not was_ahead:
                _log.warning(
                    "the centre's clock is more than a day ahead of all that agents told: nothing is deleted by it; "
                    "set the clock, or look why every agent is silent"
                )
            return
        if was_ahead:
            _log.warning("the centre's clock agrees with what agents tell: what is too old is deleted")
        with contextlib.suppress(StoreFull):
            if number := await self._store.forget(expiries(self._policy, now_ms)):
                _log.info("%d summaries were kept for as long as the policy says, and are deleted", number)

    async def _catch_up(self) -> None:
        """Project all there is, or as much as there is room for; the inbox keeps the rest."""
        try:
            while await self._step():
                pass
        except StoreFull as error:
            if not self.is_full:
                _log.warning("%s: what is acknowledged waits in the inbox", error)
            self.is_full = True
            return
        if self.is_full:
            _log.warning("there is room again, and everything is stored")
        self.is_full = False

    async def _step(self) -> bool:
        batches = await self._inbox.pending(self.position, MOST_BATCHES)
        if not batches:
            return False
        projected = [await self._read(batch) for batch in batches]
        # Rooms and devices first: a device that is known without rows is harmless, rows without an owner are not.
        await self._catalogue.register(self._seen(projected))
        await self._store.append(batches[-1].position, projected)
        self.position = batches[-1].position
        self._memory.hearing.take((batch.agent, batch.received_ms) for batch in batches)
        touched = {summary.series.school for batch in projected for summary in batch.summaries}
        self._live.publish(self._memory.take(projected, self._clock.now()), touched)
        return True

    def _seen(self, batches: Sequence[Projected]) -> list[Seen]:
        """Where devices are, by the windows of these batches and the last ones known: where each is now comes last."""
        told_until: dict[Seen, int] = {}
        for batch in batches:
            for summary in batch.summaries:
                seen = Seen.of(batch.agent, summary.series)
                told_until[seen] = max(told_until.get(seen, 0), summary.end_ms)
        for seen in list(told_until):
            if (last := self._memory.latest.of_device(seen.school, seen.device)) is not None:
                place = Seen.of(seen.agent, last.series)
                told_until[place] = max(told_until.get(place, 0), last.end_ms)
        return sorted(told_until, key=told_until.__getitem__)

    async def _read(self, batch: StoredBatch) -> Projected:
        if batch.kind is Kind.REPORT:
            return Projected(batch.agent, report=await self._decoding.report(batch.body))
        return Projected(batch.agent, await self._decoding.summaries(batch.body))
