"""The agent's core: a synchronous state machine. Events in, effects out; time, randomness and disk are handed in.

One transaction is under way at a time. What it will change in memory changes when it is on disk, so a crash at
any moment leaves what a restart rebuilds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from edge_agent.admission import NO_ROOM
from edge_agent.clock_watch import ClockWatch
from edge_agent.closing import Closing, close_windows
from edge_agent.counts import CountKey
from edge_agent.delivery import DeliveryPlan
from edge_agent.events import (
    Acknowledge,
    Arrived,
    Commit,
    Committed,
    Delivered,
    Forked,
    Hold,
    Refused,
    Resume,
    Tick,
    Uncommitted,
    Undelivered,
)
from edge_agent.journalling import journal_transaction
from edge_agent.pending import Pending
from edge_agent.placing import place_transaction
from edge_agent.pressure import Pressure
from edge_agent.receipts import TRIM_EVERY_S
from edge_agent.refitting import fittings_of, refit_transaction
from edge_agent.reporting import Rate, as_told, report_of, totals
from edge_agent.revising import is_due, revision_transaction
from edge_agent.transactions import Kind, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from edge_agent.admission import Admission
    from edge_agent.events import Batch, Effect, Event
    from edge_agent.privacy.release import People
    from edge_agent.reporting import Surroundings
    from edge_agent.state import State
    from edge_agent.timing import Timing
    from telemetry import Clock
    from telemetry.uplink_contract import AgentReport, BatchId

_VERDICTS: Final = frozenset({Kind.MARK, Kind.REFUSE, Kind.FORK})


@dataclass(slots=True)
class _Timers:
    """Monotonic moments at which something was last done."""

    checkpoint: float
    close: float
    asked: float
    """When something other than the journal could last have its turn."""
    release: float = 0
    """When people counts are looked at next."""
    journal_values: int = 0
    trimmed: float = 0
    """When receipts were trimmed."""


@dataclass(slots=True, kw_only=True)
class Core:
    """What the agent does, without doing it.

    `handle` is called on one thread, for one event after another, and returns what is to be done about it.
    """

    school: str
    admission: Admission
    state: State
    clock: Clock
    rng: Random
    timing: Timing
    surroundings: Surroundings
    new_epoch: Callable[[], str]
    people: People
    delivery: DeliveryPlan = field(init=False)
    pressure: Pressure = field(init=False)
    watch: ClockWatch = field(init=False)
    _pending: Pending = field(init=False)
    _verdict: Transaction | None = None
    """What the centre said of the batch under way, until it is on its way to the disk."""
    _under_way: Transaction | None = None
    _prepared: Transaction | None = None
    """The journal transaction that goes next: made while the one under way is being written."""
    _closing: Closing | None = None
    _started_ms: int = 0
    _is_fitted: bool = False
    """Whether what follows from devices that were moved or replaced is on its way to the disk."""
    _steps: int = 0
    """How often the clock was set, and that is not on disk yet."""
    _rate: Rate = field(init=False)
    _timers: _Timers = field(init=False)

    def __post_init__(self) -> None:
        now = self.clock.monotonic()
        self._started_ms = self.clock.now()
        self._rate = Rate(self.clock, totals(self.state.counts).get("summaries", 0), now)
        # A crash left a journal: end it here, or a start would take longer after each crash that comes too soon.
        behind = self.timing.checkpoint_values if self.state.journal_rows else 0
        self._timers = _Timers(checkpoint=now, close=now, asked=now, journal_values=behind, trimmed=now)
        self.delivery = DeliveryPlan(self.timing, self.rng, now)
        self.pressure = Pressure(self.surroundings.room, now)
        self.watch = ClockWatch(self.clock, self.surroundings.clock_trust, self.state.unplaced.newest_ms)
        self._pending = Pending(self.timing.group_commit_s)

    @property
    def pending(self) -> int:
        """Frames taken in that are not yet on disk."""
        made = [transaction for transaction in (self._under_way, self._prepared) if transaction is not None]
        return self._pending.frames + sum(len(batch.arrivals) for each in made for batch in each.batches)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the disk."""
        return self._under_way is None and self._prepared is None and not self._pending and self._verdict is None

    def handle(self, event: Event) -> list[Effect]:
        """Take in one event; return what is to be done, in order."""
        effects: list[Effect] = []
        if self.watch.look():
            self._steps += 1
            self._started_ms = self.clock.now()
            self._timers.checkpoint = float("-inf")  # or a start after a crash would take the step for time that passed
            self.people.interrupted()
        elif not self.watch.is_trusted:
            self.people.interrupted()
        match event:
            case Arrived(batches):
                now = self.clock.monotonic()
                for batch in batches:
                    self._pending.add(self._stamped(batch), now)
                if not self._pending.is_enough:
                    return effects  # what else is due is found out at the next tick
            case Committed():
                effects += self._committed(event)
            case Uncommitted():
                self._undone(event.transaction)
            case Tick():
                pass
            case _:
                self._answered(event)
        effects += self._due()
        if (turned := self._pending.turned(is_full=self.pressure.is_holding)) is not None:
            effects.append(Hold() if turned else Resume())
        return effects

    def _due(self) -> list[Effect]:
        """The transaction and the request whose time has come."""
        effects: list[Effect] = []
        if self._under_way is None:
            self._under_way = self._next()
            if self._under_way is not None:
                effects.append(Commit(self._under_way))
        elif self._prepared is None and self._may_prepare(self._under_way):
            self._prepared = self._journal_due(self.clock.monotonic(), self._under_way)
        return effects + self.delivery.due(self.state, self.clock.monotonic())

    def _stamped(self, batch: Batch) -> Batch:
        """With provisional time, while the clock cannot be believed."""
        if self.watch.is_trusted:
            return batch
        return structs.replace(batch, received_ms=self.watch.provisional_ms(batch.received_ms), is_provisional=True)

    def report(self) -> AgentReport:
        """The balance and the agent's state as they are now."""
        return report_of(self.state, self.clock.now(), self.surroundings, self._rate)

    def flush(self) -> None:
        """Let the next events commit what is pending and checkpoint, without waiting for their time."""
        self._pending.hurry()
        self._timers.checkpoint = float("-inf")

    def _next(self) -> Transaction | None:
        """The next transaction that is due; what the clock makes due comes before what devices send."""
        if self._prepared is not None:
            prepared, self._prepared = self._prepared, None
            return prepared
        now = self._timers.asked = self.clock.monotonic()
        self.pressure.look(self.state, now)
        if (relief := self.pressure.relief_due(self.state, self.admission.bindings, now)) is not None:
            return relief
        if self.pressure.is_waiting(now):
            return None
        if not self._is_fitted:
            self._is_fitted = True
            if (refit := refit_transaction(self.state, self.admission.bindings)) is not None:
                return refit
        if self._verdict is not None:
            verdict, self._verdict = self._verdict, None
            verdict = self.delivery.as_it_stands(self.state, verdict)
            closes = verdict.kind is Kind.FORK  # another copy may have spent what this one does not know
            return replace(verdict, counts_closed_ms=self.people.closed_ms) if closes else verdict
        return (
            self._set_clock_due()
            or self._close_due(now)
            or self._release_due(now)
            or self._revise_due()
            or self._checkpoint_due(now)
            or self.delivery.recall_due(self.state)
            or self._seal_due(now)
            or self._journal_due(now)
        )

    def _may_prepare(self, under_way: Transaction) -> bool:
        """Whether the next journal transaction can be made meanwhile: nothing that is being written changes what it
        says, and what the clock makes due has not waited for long."""
        return (
            under_way.kind is Kind.JOURNAL
            and not under_way.summaries
            and self._pending.is_more_than_one()
            and self.clock.monotonic() - self._timers.asked < self.timing.close_every_s
        )

    def _set_clock_due(self) -> Transaction | None:
        """What follows from a clock that was set, or that can be believed at last."""
        if self.watch.is_trusted and self.clock.now() < self.state.closed_until_ms:
            return self._turn()
        if self.watch.is_trusted and len(self.state.unplaced):
            bindings, correction_ms = self.admission.bindings, self.watch.correction_ms
            return place_transaction(self.state, bindings, self.school, correction_ms)
        if self.watch.is_trusted and not self._pending.is_provisional:
            self.watch.placed()
        return None

    def _turn(self) -> Transaction:
        """The clock is behind what was told already: tell it again, as revisions, rather than lose it as late."""
        now_ms = self.clock.now()
        return Transaction(
            kind=Kind.TURN,
            turn=self.state.next_turn(),
            closed_until_ms=now_ms - self.timing.lateness_ms,
            checkpoint=self.state.checkpoint(now_ms),
            turned_ms=now_ms,
        )

    def _close_due(self, now: float) -> Transaction | None:
        if now - self._timers.close < self.timing.close_every_s or not self.watch.is_trusted:
            return None
        self._timers.close = now
        horizon_ms = self.clock.now() - self.timing.lateness_ms
        if horizon_ms < self._started_ms or horizon_ms <= self.state.closed_until_ms:
            return None  # devices that waited for the agent to come back have their lateness too
        closing = close_windows(self.state, self.admission.bindings, self.school, horizon_ms)
        if not closing.windows:
            return None
        self._closing = closing
        return Transaction(
            kind=Kind.CLOSE,
            counts=closing.tally.counts,
            summaries=closing.summaries,
            closed_until_ms=horizon_ms,
        )

    def _revise_due(self) -> Transaction | None:
        night = self.watch.is_trusted and is_due(self.state, self.clock.now())
        return revision_transaction(self.state, self.admission.bindings, self.school) if night else None

    def _release_due(self, now: float) -> Transaction | None:
        if now < self._timers.release or not self.watch.is_trusted:
            return None
        self._timers.release = now + self.timing.close_every_s
        return self.people.due(self.clock.now() - self.timing.lateness_ms)

    def _checkpoint_due(self, now: float) -> Transaction | None:
        ran_s = now - self._timers.checkpoint
        if ran_s < self.timing.checkpoint_s and self._timers.journal_values < self.timing.checkpoint_values:
            return None
        self._timers.checkpoint = now
        self._timers.journal_values = 0
        steps, self._steps = self._steps, 0
        fittings = fittings_of(self.state, self.admission.bindings)
        if trims := now - self._timers.trimmed >= TRIM_EVERY_S:
            self._timers.trimmed = now
        return Transaction(
            kind=Kind.CHECKPOINT,
            trims_receipts=trims,
            counts={CountKey("clock_steps"): steps} if steps else {},
            checkpoint=self.state.checkpoint(),
            fittings={} if fittings == self.state.fittings else fittings,
            timetable_days=self.state.live_days(),
            ledger_before_ms=self.clock.now() - self.timing.ledger_ms if self.watch.is_trusted else 0,
            ran_s=min(ran_s, self.timing.checkpoint_s),
            privacy_time=self.people.moment if self.watch.is_trusted else None,
            counts_closed_ms=self.state.spending.closed_until_ms,
        )

    def _seal_due(self, now: float) -> Transaction | None:
        if not self.watch.is_trusted:
            return None
        order = self.delivery.seal_due(self.state, now, self.clock.now(), lambda: as_told(self.report()))
        return Transaction(kind=Kind.SEAL, seal=order) if order is not None else None

    def _journal_due(self, now: float, under_way: Transaction | None = None) -> Transaction | None:
        if self.pressure.is_holding or not self._pending.is_due(now):
            return None
        earlier = under_way.receipts if under_way is not None else {}
        batches, dropped = self._pending.take(now)
        return journal_transaction(batches, self.admission, self.state, self.school, dropped=dropped, earlier=earlier)

    def _undone(self, transaction: Transaction) -> None:
        """There was no room: what came in waits again, what the centre said too; the rest will be due again."""
        assert transaction is self._under_way
        self._under_way = None
        self.pressure.no_room(transaction, self.clock.monotonic())
        for each in (self._prepared, transaction):
            if each is not None and each.kind is Kind.JOURNAL:
                self._pending.put_back(each.batches, each.counts.get(CountKey("rejected", reason=NO_ROOM), 0))
        self._prepared = None
        if transaction.kind in _VERDICTS:
            self._verdict = transaction
        if transaction.kind is Kind.REFIT:
            self._is_fitted = False
        if transaction.kind is Kind.SEAL:
            self.delivery.hurry()  # an event of safety may be in it
        if transaction.kind is Kind.CHECKPOINT:
            self._steps += transaction.counts.get(CountKey("clock_steps"), 0)
        self._closing = None

    def _committed(self, event: Committed) -> list[Effect]:
        transaction, written = event.transaction, event.written
        assert transaction is self._under_way
        self._under_way = None
        for counts in (transaction.counts, written.counts):
            for key, number in counts.items():
                self.state.counts[key] = self.state.counts.get(key, 0) + number
        self._add_waiting(transaction)
        self.people.committed(transaction)
        if written.waiting is not None:
            self.state.waiting, self.state.oldest_waiting_ms = written.waiting
        self.state.used_bytes = written.used_bytes or self.state.used_bytes
        match transaction.kind:
            case Kind.JOURNAL | Kind.PLACE:
                return self._journalled(transaction)
            case Kind.CLOSE:
                self._closed(transaction)
            case Kind.CHECKPOINT | Kind.REFIT:
                self.state.checkpointed(transaction)
            case Kind.TURN | Kind.REVISE:
                self.state.turned(transaction, self.admission.bindings)
            case Kind.SHORTEN | Kind.MERGE:
                self.pressure.relieved(transaction, written)
            case _:
                self._verdict = self.delivery.settled(self.state, transaction, written, self.new_epoch) or self._verdict
        return []

    def _add_waiting(self, transaction: Transaction) -> None:
        if transaction.summaries:
            self.state.waiting += len(transaction.summaries)
            oldest = min(summary.start_ms for summary in transaction.summaries)
            known = self.state.oldest_waiting_ms
            self.state.oldest_waiting_ms = oldest if known is None else min(known, oldest)

    def _journalled(self, transaction: Transaction) -> list[Effect]:
        bindings = self.admission.bindings
        for run in transaction.runs:
            self.state.apply(run, bindings)
            self._timers.journal_values += len(run.columns)
        self.people.put(transaction.people)
        for session, marks in transaction.receipts.items():
            self.state.receipts.remember(session, marks)
        if transaction.summaries:
            self.delivery.hurry()
        waiting = [batch for batch in transaction.batches if batch.token is not None]
        return [Acknowledge(waiting)] if waiting else []

    def _closed(self, transaction: Transaction) -> None:
        assert self._closing is not None
        assert transaction.closed_until_ms is not None
        self.state.close(self._closing.windows, self.admission.bindings)
        self.state.closed_until_ms = transaction.closed_until_ms
        self._closing = None

    def _answered(self, event: Event) -> None:
        """The centre's word on a batch becomes a transaction, or a later try."""
        match event:
            case Delivered(batch) if self._is_awaited(batch):
                self.people.heard(event)
                self._verdict = self.delivery.delivered(self.state, event)
            case Refused(batch) if self._is_awaited(batch):
                self._verdict = self.delivery.refusal(self.state, event, self.new_epoch)
            case Forked(batch) if self._is_awaited(batch):
                self._verdict = self.delivery.disputed(self.state, event, self.new_epoch)
            case Undelivered(batch, _, retry_after_s) if self._is_awaited(batch):
                self.delivery.undelivered(self.clock.monotonic(), retry_after_s)
            case _:
                pass  # an answer about a batch that is settled, or of an epoch that is over

    def _is_awaited(self, batch: BatchId) -> bool:
        """Whether an answer about this batch is awaited, and none is yet on its way to the disk."""
        is_settling = self._under_way is not None and self._under_way.kind in _VERDICTS
        return self.delivery.sending == batch and self._verdict is None and not is_settling
