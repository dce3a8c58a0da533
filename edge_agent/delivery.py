"""When batches are sealed and sent: the cadence, the four that may wait for their answer, the waits after a failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from edge_agent.counts import CountKey
from edge_agent.events import Send
from edge_agent.transactions import BatchKind, Kind, SealOrder, Transaction
from telemetry.uplink_contract import GENESIS, REPORT_PATH, WRITE_PATH, BatchId

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from edge_agent.state import State
    from edge_agent.timing import Timing
    from edge_agent.transactions import SealedBatch
    from telemetry.uplink_contract import AgentReport

MOST_UNACKNOWLEDGED: Final = 4
MOST_LINES: Final = 2000
LONGEST_WAIT_S: Final = 300.0
_PATHS: Final = {BatchKind.SUMMARIES: WRITE_PATH, BatchKind.REPORT: REPORT_PATH}


class DeliveryPlan:
    """Decides what goes to the centre and when; the state is handed in, and changed only where a commit is done."""

    def __init__(self, timing: Timing, rng: Random, now: float) -> None:
        self._timing = timing
        self._rng = rng
        self._next_batch = now + timing.batch_every_s
        self._next_report = now + timing.report_every_s
        self._next_try = now
        self._failures = 0
        self._sending: BatchId | None = None
        self._urgent = False

    @property
    def failures(self) -> int:
        """Deliveries that failed since the last that did not."""
        return self._failures

    @property
    def sending(self) -> BatchId | None:
        """The batch that was offered and whose answer is awaited."""
        return self._sending

    def hurry(self) -> None:
        """Seal what is newest as soon as the line is free: a safety event waits for no cadence and no backlog."""
        self._urgent = True

    def seal_due(self, state: State, now: float, now_ms: int, report: Callable[[], AgentReport]) -> SealOrder | None:
        """What to seal now; nothing while the centre does not answer, so that the newest goes first when it does."""
        if self._failures or len(state.unacknowledged) >= MOST_UNACKNOWLEDGED:
            return None
        if now >= self._next_report:
            self._next_report = now + self._timing.report_every_s
            text = json.dumps(report().as_dict(), separators=(",", ":")).encode()
            return SealOrder(state.next_sequence, state.head, now_ms, 0, text)
        if not state.waiting:
            return None
        if self._urgent or (not state.splitting and (now >= self._next_batch or state.waiting >= MOST_LINES)):
            self._urgent = False
            self._next_batch = now + self._timing.batch_every_s
            return SealOrder(state.next_sequence, state.head, now_ms, MOST_LINES)
        if state.splitting:
            return SealOrder(state.next_sequence, state.head, now_ms, MOST_LINES, split=True)
        return None

    def due(self, state: State, now: float) -> list[Send]:
        """The batch to offer now: one at a time, since one offered behind a batch that fails would overtake it."""
        if now < self._next_try or self._sending is not None or not state.unacknowledged:
            return []
        batch = state.unacknowledged[min(state.unacknowledged)]
        self._sending = BatchId(state.epoch, batch.sequence)
        return [Send(self._sending, _PATHS[batch.kind], batch.body)]

    def undelivered(self, now: float, retry_after_s: float | None) -> None:
        """Wait before the next try: as long as the centre asks, or at random below a bound that doubles."""
        self._sending = None
        bound = min(LONGEST_WAIT_S, self._timing.retry_s * 2 ** min(self._failures, 16))
        self._failures += 1
        wait = retry_after_s if retry_after_s is not None else self._rng.uniform(0, bound)
        self._next_try = max(self._next_try, now + wait)

    def sealed(self, state: State, order: SealOrder, batch: SealedBatch | None) -> None:
        """A batch is on disk; none where nothing waited of what was to be sealed."""
        if batch is None:
            state.splitting = state.splitting and not order.split
            return
        state.unacknowledged[batch.sequence] = batch
        state.next_sequence = batch.sequence + 1
        state.head = batch.head
        state.waiting -= batch.summaries
        if not state.waiting:
            state.oldest_waiting_ms = None

    def marked(self, state: State, sequence: int) -> None:
        """The centre has a batch, and that is on disk."""
        batch = state.unacknowledged.pop(sequence)
        key = CountKey("acknowledged")
        state.counts[key] = state.counts.get(key, 0) + batch.summaries
        self._sending = None
        self._failures = 0

    def refusal(self, state: State, sequence: int) -> Transaction:
        """What to write when the centre refuses a batch: its summaries wait again, or, of one alone, no more."""
        batch = state.unacknowledged[sequence]
        alone = batch.summaries == 1
        counts = {CountKey("refused"): 1} if alone else {}
        return Transaction(kind=Kind.REFUSE, sequence=sequence, counts=counts)

    def refused(self, state: State, sequence: int) -> None:
        """A refusal is on disk."""
        batch = state.unacknowledged.pop(sequence)
        if batch.summaries > 1:
            _wait_again(state, batch)
            state.splitting = True
        self._sending = None
        self._failures = 0

    def forked(self, state: State, epoch: str) -> None:
        """A new epoch is on disk; what was not acknowledged waits again."""
        for batch in state.unacknowledged.values():
            _wait_again(state, batch)
        state.unacknowledged.clear()
        state.epoch, state.next_sequence, state.head = epoch, 1, GENESIS
        state.splitting = True  # of what was sealed, some may have been refused before
        self._sending = None
        self._failures = 0
        self._next_batch = float("-inf")


def _wait_again(state: State, batch: SealedBatch) -> None:
    oldest = [start for start in (batch.oldest_ms, state.oldest_waiting_ms) if start is not None]
    state.waiting += batch.summaries
    state.oldest_waiting_ms = min(oldest, default=None)
