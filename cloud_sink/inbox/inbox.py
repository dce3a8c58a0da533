"""The acknowledgement boundary: a batch's bytes and its mark, durable before anyone is told so.

One SQLite file, one thread and connection that write, WAL with synchronous=FULL. What is committed here may be
acknowledged; the store follows it, and forgets nothing that stands here.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import apsw

from cloud_sink.inbox.batches import Batch, ForkedBatch, InboxFault, InboxFull, Kind, Receipt, StoredBatch, Tally
from cloud_sink.inbox.file import close_file, open_file, set_aside
from cloud_sink.inbox.transaction import transaction
from telemetry.uplink_contract import GENESIS, Told, link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from telemetry.uplink_contract import BatchId

T = TypeVar("T")

OPEN_WINDOW: Final = 4
"""How far ahead of the last contiguous batch one may arrive: an agent has at most four unacknowledged."""
MOST_WAITING: Final = 64
"""Batches that may wait for the disk; the next is told to come back."""
KEPT_MS: Final = 24 * 3600 * 1000

_CLOCK_SET_MS: Final = 24 * 3600 * 1000
"""How far the times of marks may be out of their order, by a clock that was set."""

_DROP_BODIES: Final = """
DELETE FROM body WHERE position IN (SELECT position FROM mark
    WHERE position BETWEEN (SELECT min(position) FROM body) AND ? AND received_ms < ?)
"""
_COUNT: Final = """
INSERT INTO tally VALUES (?1, ?2 = 'summaries', ?2 = 'report', ?3) ON CONFLICT DO UPDATE SET
    batches = batches + excluded.batches, reports = reports + excluded.reports, lines = lines + excluded.lines
"""
_LAST_HEARD: Final = """
SELECT agent, received_ms FROM mark WHERE position IN (SELECT max(touched) FROM epoch GROUP BY agent) ORDER BY position
"""


class Inbox:
    """Takes batches, answers only when they are durable, and hands them to the projection in order."""

    def __init__(self, folder: Path, now: Callable[[], int], *, projected: int = 0, vfs: str | None = None) -> None:
        """Open or make the inbox in `folder`, of which stores have what stands up to `projected`.

        Raises `EnvironmentFault`.
        """
        self._folder = folder
        self._now = now
        self._connection = open_file(folder, projected, vfs)
        self._thread = ThreadPoolExecutor(1, "inbox")
        self._waiting: list[tuple[Batch, asyncio.Future[Receipt]]] = []
        self._flush: asyncio.Task[None] | None = None
        self._broken: InboxFault | None = None
        self.arrived = asyncio.Event()

    @property
    def broken(self) -> InboxFault | None:
        """The fault of the disk after which nothing is acknowledged any more, until a restart.

        A failed fsync is never tried again: what it covered is unknown.
        """
        return self._broken

    @property
    def set_aside(self) -> list[str]:
        """Damaged files that were moved aside, until somebody takes them away."""
        return set_aside(self._folder)

    async def commit(self, batch: Batch) -> Receipt:
        """Make `batch` durable; the same batch again changes nothing.

        Raises `ForkedBatch`, `InboxFull`, `InboxFault`. Batches that wait together share one transaction.
        """
        if self._broken is not None:
            raise self._broken
        if len(self._waiting) >= MOST_WAITING:
            raise InboxFull(f"{MOST_WAITING} batches wait for the disk", fix="try again in a few seconds")
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, future))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._flush_waiting(), name="inbox.flush")
        return await future

    async def refuse(self, agent: str, batch_id: BatchId, body: bytes) -> Receipt:
        """Mark a batch that was refused as a whole, so that those behind it stand without a gap.

        One that is known already keeps the mark it has: of one that was taken once, the receipt says so. Raises as
        `commit` does.
        """
        return await self.commit(Batch(agent, batch_id, Kind.REFUSED, body, 0))

    async def standing(self, agent: str, batch_id: BatchId, body: bytes) -> Receipt | None:
        """The receipt of a batch that was taken with these bytes; None of any other. Raises `InboxFault`."""
        if self._broken is not None:
            raise self._broken
        return await self._in_thread(lambda: self._select_standing(agent, batch_id, body))

    async def pending(self, after: int, most: int) -> list[StoredBatch]:
        """The next batches after a position, in the order of arrival."""
        return await self._in_thread(lambda: self._select_pending(after, most))

    async def heard(self, from_ms: int) -> list[tuple[str, int]]:
        """Agent and time of every batch that came at `from_ms` or later, and of each agent's last, in the order of
        arrival."""
        return await self._in_thread(lambda: self._select_heard(from_ms))

    async def copies(self) -> list[tuple[str, int]]:
        """Agents of whose database a copy was at work, and when that was last noticed."""
        query = "SELECT agent, noticed_ms FROM copy ORDER BY agent"
        return await self._in_thread(lambda: list(self._connection.execute(query)))

    async def waiting_after(self, position: int) -> int:
        """How many batches stand after a position."""
        return await self._in_thread(lambda: self._count_after(position))

    async def tallies(self) -> list[Tally]:
        """What each agent has been acknowledged for."""
        return await self._in_thread(self._select_tallies)

    async def prune(self, projected: int) -> int:
        """Drop the bytes that every store has and that are a day old; marks stay. Returns how many.

        0 where there is no room even for that: SQLite writes before it frees.
        """
        return await self._in_thread(lambda: self._prune(projected))

    async def close(self) -> None:
        """Finish what waits, then let go of the file."""
        if self._flush is not None:
            await self._flush
        await self._in_thread(lambda: close_file(self._connection, is_sound=self._broken is None))
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Work on the file, in its thread. Raises `InboxFault`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except apsw.Error as error:
            self._broken = _fault(error)
            raise self._broken from None

    async def _flush_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            batches = [batch for batch, _ in group]
            outcomes: Sequence[Receipt | ForkedBatch | InboxFault]
            try:
                outcomes = await self._in_thread(partial(self._commit_group, batches))
            except InboxFault as fault:
                outcomes = [fault] * len(group)
            self.arrived.set()
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Receipt):
                    future.set_result(outcome)
                else:
                    future.set_exception(outcome)

    def _commit_group(self, batches: Sequence[Batch]) -> list[Receipt | ForkedBatch] | list[InboxFault]:
        outcomes: list[Receipt | ForkedBatch] = []
        try:
            with transaction(self._connection):
                outcomes.extend(self._take(batch) for batch in batches)
        except apsw.FullError as error:
            return [_fault(error)] * len(batches)  # nothing of it is there; it may be tried again
        return outcomes

    def _take(self, batch: Batch) -> Receipt | ForkedBatch:
        agent, epoch, sequence = batch.agent, batch.id.epoch, batch.id.sequence
        digest = hashlib.sha256(batch.body).digest()
        receipt = self._receipt(agent, epoch)
        query = "SELECT sha256, kind, position FROM mark WHERE agent = ? AND epoch = ? AND sequence = ?"
        for known, kind, position in self._connection.execute(query, (agent, epoch, sequence)):
            if known != digest:
                what = f"batch {batch.id} is known with other bytes"
                note = "INSERT INTO copy VALUES (?1, ?2) ON CONFLICT DO UPDATE SET noticed_ms = ?2"
                self._connection.execute(note, (agent, self._now()))
                return ForkedBatch(what, receipt, self._told_since(batch), is_copy=True)
            if kind != Kind.REFUSED or batch.kind is Kind.REFUSED:
                return replace(receipt, is_refused=kind == Kind.REFUSED)
            self._connection.execute("DELETE FROM mark WHERE position = ?", (position,))  # refused once, good now
        if sequence > receipt.applied + OPEN_WINDOW:
            what = f"batch {batch.id} is more than {OPEN_WINDOW} ahead of {receipt.applied}, the last without a gap"
            return ForkedBatch(what, receipt)
        span = (None, None) if batch.told is None else (batch.told.from_ms, batch.told.to_ms)
        self._connection.execute(
            """INSERT INTO mark (agent, epoch, sequence, kind, lines, sha256, received_ms, from_ms, to_ms)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (agent, epoch, sequence, batch.kind.value, batch.lines, digest, self._now(), *span),
        )
        position = self._connection.last_insert_rowid()
        self._connection.execute(_COUNT, (agent, batch.kind.value, batch.lines))
        if batch.kind is not Kind.REFUSED:
            self._connection.execute("INSERT INTO body VALUES (?, ?)", (position, batch.body))
        return replace(self._advance(agent, receipt, position), is_refused=batch.kind is Kind.REFUSED)

    def _advance(self, agent: str, receipt: Receipt, position: int) -> Receipt:
        applied, head = receipt.applied, receipt.head
        query = "SELECT sequence, sha256 FROM mark WHERE agent = ? AND epoch = ? AND sequence > ? ORDER BY sequence"
        for sequence, digest in self._connection.execute(query, (agent, receipt.epoch, applied)):
            if sequence != applied + 1:
                break
            applied, head = sequence, link(head, digest)
        self._connection.execute(
            """INSERT INTO epoch VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (agent, epoch) DO UPDATE SET applied = ?3, head = ?4, touched = ?5""",
            (agent, receipt.epoch, applied, head, position),
        )
        return Receipt(receipt.epoch, applied, head)

    def _receipt(self, agent: str, epoch: str) -> Receipt:
        query = "SELECT applied, head FROM epoch WHERE agent = ? AND epoch = ?"
        for applied, head in self._connection.execute(query, (agent, epoch)):
            return Receipt(epoch, applied, head)
        return Receipt(epoch, 0, GENESIS)

    def _select_standing(self, agent: str, batch_id: BatchId, body: bytes) -> Receipt | None:
        query = "SELECT 1 FROM mark WHERE agent = ? AND epoch = ? AND sequence = ? AND sha256 = ? AND kind != ?"
        known = agent, batch_id.epoch, batch_id.sequence, hashlib.sha256(body).digest(), Kind.REFUSED.value
        if self._connection.execute(query, known).fetchone() is None:
            return None
        return self._receipt(agent, batch_id.epoch)

    def _told_since(self, disputed: Batch) -> Told | None:
        """All that the agent's other copy told: what came with this batch or one after it, and behind that, in
        whatever epoch.

        A batch that was refused and is good now stands further back than those after it. None where a batch among
        them is older than the spans.
        """
        query = """SELECT coalesce(min(from_ms), 0), coalesce(max(to_ms), 0), sum(lines > 0 AND from_ms IS NULL)
                   FROM mark WHERE agent = ?1 AND position >= (
                       SELECT min(position) FROM mark WHERE agent = ?1 AND epoch = ?2 AND sequence >= ?3)"""
        values = disputed.agent, disputed.id.epoch, disputed.id.sequence
        for from_ms, to_ms, unknown in self._connection.execute(query, values):
            return None if unknown else Told(from_ms, to_ms)
        return None

    def _select_pending(self, after: int, most: int) -> list[StoredBatch]:
        query = """SELECT position, agent, kind, bytes, received_ms FROM mark JOIN body USING (position)
                   WHERE position > ? ORDER BY position LIMIT ?"""
        return [
            StoredBatch(position, agent, Kind(kind), body, received_ms)
            for position, agent, kind, body, received_ms in self._connection.execute(query, (after, most))
        ]

    def _select_heard(self, from_ms: int) -> list[tuple[str, int]]:
        """From the last mark back: they stay for good, and their times are in order but for what the clock was set."""
        heard = []
        for agent, received_ms in self._connection.execute(
            "SELECT agent, received_ms FROM mark ORDER BY position DESC"
        ):
            if received_ms < from_ms - _CLOCK_SET_MS:
                break
            if received_ms >= from_ms:
                heard.append((agent, received_ms))
        return [each for each in self._connection.execute(_LAST_HEARD) if each[1] < from_ms] + heard[::-1]

    def _count_after(self, position: int) -> int:
        return len(self._connection.execute("SELECT position FROM body WHERE position > ?", (position,)).fetchall())

    def _select_tallies(self) -> list[Tally]:
        query = """SELECT agent, batches, reports, lines,
                          (SELECT epoch || '-' || applied FROM epoch WHERE epoch.agent = tally.agent
                           ORDER BY touched DESC LIMIT 1)
                   FROM tally ORDER BY agent"""
        return [Tally(*row) for row in self._connection.execute(query)]

    def _prune(self, projected: int) -> int:
        try:
            with transaction(self._connection):
                self._connection.execute(_DROP_BODIES, (projected, self._now() - KEPT_MS))
        except apsw.FullError:
            return 0
        return self._connection.changes()


def _fault(error: apsw.Error) -> InboxFault:
    return InboxFault(f"the inbox could not be written or read: {error}", fix="look at the disk, then restart")
