"""When batches are sealed and sent: the cadence, the four that may wait for their answer, the waits after a failure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edge_agent.counts import CountKey
from edge_agent.events import Applied, Send
from edge_agent.transactions import BatchKind, Kind, SealOrder, Transaction, Turn
from telemetry.uplink_contract import GENESIS, REPORT_PATH, WRITE_PATH, BatchId

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from edge_agent.events import Delivered, Forked, Refused
    from edge_agent.state import State
    from edge_agent.timing import Timing
    from edge_agent.transactions import SealedBatch, Span, Written
    from telemetry.uplink_contract import AgentReport

MOST_UNACKNOWLEDGED: Final = 4
MOST_LINES: Final = 4000
LONGEST_WAIT_S: Final = 300.0
_FURTHER: Final = 1 << 20
_PATHS: Final = {BatchKind.SUMMARIES: WRITE_PATH, BatchKind.REPORT: REPORT_PATH}


class DeliveryPlan:
    """Decides what goes to the centre and when; the state is handed in, and changed only where a commit is done."""

    def __init__(self, timing: Timing, rng: Random, now: float) -> None:
        self._timing = timing
        self._rng = rng
        self._next_batch = now + timing.batch_every_s
        self._next_backlog = now
        self._next_report = now + timing.report_every_s
        self._next_try = now
        self._failures = 0
        self._sending: BatchId | None = None
        self._urgent = False
        self._lost: BatchId | None = None
        """The first batch that the centre has lost and that was not recalled yet."""
        self._lost_until = 0
        """The number of the batch that told it: from there on the centre has them, or was never given them."""
        self._head_before_lost = b""
        self._is_behind_others = False
        """Whether the centre has put a batch behind others than ours: the next goes under a new epoch."""

    @property
    def failures(self) -> int:
        """Deliveries that failed since the last that did not."""
        return self._failures

    @property
    def next_try(self) -> float:
        """The monotonic moment before which nothing is offered."""
        return self._next_try

    @property
    def sending(self) -> BatchId | None:
        """The batch that was offered and whose answer is awaited."""
        return self._sending

    def hurry(self) -> None:
        """Seal what is newest as soon as the line is free: a safety event waits for no cadence and no backlog."""
        self._urgent = True

    def seal_due(self, state: State, now: float, now_ms: int, report: Callable[[], AgentReport]) -> SealOrder | None:
        """What to seal now; nothing while the centre does not answer, so that the newest goes first when it does."""
        is_full = len(state.unacknowledged) >= MOST_UNACKNOWLEDGED
        if self._failures or self._lost is not None or state.ending or is_full:
            return None
        next_id = BatchId(state.epoch, state.next_sequence)
        closes = state.ending is not None
        if closes or now >= self._next_report:
            self._next_report = now + self._timing.report_every_s
            text = json.dumps(report().as_dict(), separators=(",", ":")).encode()
            return SealOrder(next_id, state.head, now_ms, 0, text, closes=closes)
        if self._is_summaries_due(state, now):
            self._urgent = False
            self._next_batch = now + self._timing.batch_every_s
            self._next_backlog = now + self._rng.uniform(0, 2 * self._timing.backlog_every_s)
            return SealOrder(next_id, state.head, now_ms, MOST_LINES)
        if state.waiting and state.splitting:
            return SealOrder(next_id, state.head, now_ms, MOST_LINES, split=True)
        return None

    def _is_summaries_due(self, state: State, now: float) -> bool:
        if not state.waiting or (state.splitting and not self._urgent):
            return False
        is_backlog = state.waiting >= MOST_LINES and now >= self._next_backlog
        return self._urgent or now >= self._next_batch or is_backlog

    def recall_due(self, state: State) -> Transaction | None:
        """The next batch that the centre has lost and that is to be offered again."""
        while self._lost in state.unacknowledged:
            self._lost = replace(self._lost, sequence=self._lost.sequence + 1)
        if self._lost is None or self._sending is not None or any(each < self._lost for each in state.unacknowledged):
            return None  # one at a time, and none while another is under way: it may be a new epoch that begins
        if self._lost.sequence >= self._lost_until:
            self._lost = None
            return None
        return Transaction(kind=Kind.RECALL, batch=self._lost, head=self._head_before_lost)

    def due(self, state: State, now: float) -> list[Send]:
        """The batch to offer now: one at a time, since one offered behind a batch that fails would overtake it."""
        is_busy = self._sending is not None or self._is_behind_others
        if now < self._next_try or is_busy or not state.unacknowledged:
            return []
        first = min(state.unacknowledged, key=lambda each: (each.epoch == state.epoch, each))
        if self._lost is not None and first >= self._lost:
            return []  # one that is to be recalled goes before it
        batch = state.unacknowledged[first]
        self._sending = first
        return [Send(first, _PATHS[batch.kind], batch.body)]

    def undelivered(self, now: float, retry_after_s: float | None) -> None:
        """Wait before the next try: at random below a bound that doubles, and no less than the centre asks."""
        self._sending = None
        bound = min(LONGEST_WAIT_S, self._timing.retry_s * 2 ** min(self._failures, 16))
        self._failures += 1
        self._next_try = now + max(self._rng.uniform(0, bound), retry_after_s or 0.0)

    def _sealed(self, state: State, order: SealOrder, written: Written) -> None:
        """A batch is on disk; none where nothing waited of what was to be sealed, or nothing that could be."""
        batch = written.batch
        if batch is None:
            was_dropped = written.waiting is not None
            state.splitting = state.splitting and (was_dropped or not order.split)
            return
        state.unacknowledged[batch.id] = batch
        state.ending = batch.id.sequence if order.closes else state.ending
        state.next_sequence = batch.id.sequence + 1
        state.head = batch.head
        state.waiting -= batch.summaries
        if not state.waiting:
            state.oldest_waiting_ms = None

    def settled(
        self, state: State, transaction: Transaction, written: Written, new_epoch: Callable[[], str]
    ) -> Transaction | None:
        """A transaction about batches is on disk; what has to follow at once, if anything."""
        match transaction:
            case Transaction(kind=Kind.SEAL, seal=SealOrder() as order):
                self._sealed(state, order, written)
            case Transaction(kind=Kind.MARK, batch=BatchId() as batch):
                self._marked(state, batch)
                if self._is_behind_others:
                    return Transaction(kind=Kind.FORK, epoch=new_epoch())
                return _after_the_last(state, batch, new_epoch)
            case Transaction(kind=Kind.REFUSE, batch=BatchId() as batch):
                if transaction.epoch:
                    self._forked(state, transaction.epoch, None, None)
                    return None
                self._refused(state, batch)
                return _after_the_last(state, batch, new_epoch)
            case Transaction(kind=Kind.RECALL, batch=BatchId() as batch):
                return self._recalled(state, batch, written.batch, new_epoch)
            case Transaction(kind=Kind.FORK):
                self._forked(state, transaction.epoch, transaction.told, transaction.turn)
        return None

    def _marked(self, state: State, batch_id: BatchId) -> None:
        """The centre has a batch, and that is on disk."""
        batch = state.unacknowledged.pop(batch_id)
        _count_acknowledged(state, batch.summaries)
        self._line_is_free()

    def delivered(self, state: State, event: Delivered) -> Transaction:
        """What to write when the centre has a batch. One that names an earlier one as its last has lost some; one that
        names this one with a head that is not ours has been told something else before it, and a new epoch follows."""
        if event.applied.sequence < event.batch.sequence:
            self._note_lost(state, event.batch, event.applied)
        elif event.applied.sequence == event.batch.sequence and event.batch.epoch == state.epoch:
            self._is_behind_others = event.applied.head != state.unacknowledged[event.batch].head
        return Transaction(kind=Kind.MARK, batch=event.batch)

    def disputed(self, state: State, event: Forked, new_epoch: Callable[[], str]) -> Transaction | None:
        """What to write when the centre cannot place a batch: a new epoch; or nothing, where it can be given more."""
        if event.told is None and event.applied.sequence < event.batch.sequence - 1:
            self._note_lost(state, event.batch, event.applied)
            if self._lost is not None:
                self._line_is_free()
                return None
        return Transaction(kind=Kind.FORK, epoch=new_epoch(), told=event.told)

    def as_it_stands(self, state: State, verdict: Transaction) -> Transaction:
        """A verdict that is about to be written, with what follows for it from the state of this moment.

        After a fork, what may have been told before is told as a revision: the other copy may have turned too, and a
        number that it cannot have come to keeps ours apart.
        """
        if verdict.told is None:
            return verdict
        number = state.turn.number + self._rng.randrange(_FURTHER, 2 * _FURTHER)
        return replace(verdict, turn=Turn(number, max(state.turn.told_until_ms, verdict.told.to_ms)))

    def _note_lost(self, state: State, batch_id: BatchId, applied: Applied) -> None:
        """Offer again what the centre acknowledged and has no more: it was restored from a copy."""
        first = BatchId(batch_id.epoch, applied.sequence + 1)
        is_news = first not in state.unacknowledged and (self._lost is None or first < self._lost)
        if batch_id.epoch == state.epoch and is_news:
            until = batch_id.sequence if self._lost is None else max(self._lost_until, batch_id.sequence)
            self._lost, self._lost_until, self._head_before_lost = first, until, applied.head

    def _recalled(
        self, state: State, batch_id: BatchId, batch: SealedBatch | None, new_epoch: Callable[[], str]
    ) -> Transaction | None:
        """A lost batch is sealed again; or it cannot be, or is not what the centre thinks, and a new epoch begins."""
        self._head_before_lost = b""
        if batch is None:  # still lost: nothing may be offered before the new epoch is on disk
            return Transaction(kind=Kind.FORK, epoch=new_epoch())
        state.unacknowledged[batch.id] = batch
        _count_acknowledged(state, -batch.summaries)
        self._lost = BatchId(batch_id.epoch, batch_id.sequence + 1)
        return None

    def refusal(self, state: State, event: Refused, new_epoch: Callable[[], str]) -> Transaction:
        """What to write when a batch is refused: its summaries wait again, or, of one alone, no more.

        One that somebody before the centre refused leaves a gap in its numbers, which nothing could ever fill: what
        follows goes under a new epoch.
        """
        alone = state.unacknowledged[event.batch].summaries == 1
        counts = {CountKey("refused"): 1} if alone else {}
        if event.applied is not None and event.applied.sequence < event.batch.sequence:
            self._note_lost(state, event.batch, event.applied)
        epoch = "" if event.applied is not None else new_epoch()
        return Transaction(kind=Kind.REFUSE, batch=event.batch, counts=counts, epoch=epoch)

    def _refused(self, state: State, batch_id: BatchId) -> None:
        """A refusal is on disk."""
        batch = state.unacknowledged.pop(batch_id)
        if batch.summaries > 1:
            oldest = [start for start in (batch.oldest_ms, state.oldest_waiting_ms) if start is not None]
            state.waiting += batch.summaries
            state.oldest_waiting_ms = min(oldest, default=None)
            state.splitting = True
        self._line_is_free()

    def _forked(self, state: State, epoch: str, told: Span | None, turn: Turn | None) -> None:
        """A new epoch is on disk; what was not acknowledged waits again, as far as the other copy has not told it."""
        if told is not None and turn is not None:
            state.told_elsewhere_ms, state.turn = told.to_ms, turn
        state.ending = None
        state.unacknowledged.clear()
        state.epoch, state.next_sequence, state.head = epoch, 1, GENESIS
        state.splitting = True  # of what was sealed, some may have been refused before
        self._lost = None
        self._is_behind_others = False
        self._line_is_free()
        self._next_batch = float("-inf")

    def _line_is_free(self) -> None:
        self._sending = None
        self._failures = 0


def _after_the_last(state: State, batch: BatchId, new_epoch: Callable[[], str]) -> Transaction | None:
    """Once the centre has answered the report that closes an epoch, it knows no more of it than we do: the next one."""
    is_last = batch.epoch == state.epoch and batch.sequence == state.ending
    return Transaction(kind=Kind.FORK, epoch=new_epoch()) if is_last else None


def _count_acknowledged(state: State, summaries: int) -> None:
    key = CountKey("acknowledged")
    state.counts[key] = state.counts.get(key, 0) + summaries
