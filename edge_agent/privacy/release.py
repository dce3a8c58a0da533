"""When a slot's people counts are told: once, with noise, under the budget, and by no more than one copy of a store.

A slot that is over is told in one transaction: the charge, the summaries, the mark of privacy time. Its noise is drawn
when that is made, and the same transaction is tried until it is on disk. What stands in the way is never a measured
value: the clock, the ledger, the centre's word decide, and whether a device has spoken.
"""

from __future__ import annotations

import enum
import logging
from typing import TYPE_CHECKING, Final

from edge_agent.counts import CountKey
from edge_agent.privacy.budget import DAY_MS, Charge
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian
from edge_agent.privacy.people import SLOT_MS, SLOT_S, OpenSlots
from edge_agent.privacy.plan import plan_counts
from edge_agent.privacy.privacy_time import PrivacyTime
from edge_agent.transactions import Kind, NewSummary, Spend, Transaction
from telemetry import Series, Summary, encode_fields, encode_series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.admission import Binding
    from edge_agent.events import Delivered
    from edge_agent.privacy.budget import Budget, Moment
    from edge_agent.privacy.noise import Noise
    from edge_agent.privacy.people import Statistic
    from edge_agent.privacy.plan import CountsPlan
    from edge_agent.slots import Held
    from edge_agent.state import State
    from edge_agent.timetable import Timetable
    from edge_agent.transactions import PeopleSlot
    from telemetry import Clock
    from telemetry.policy import CountsTable

_log = logging.getLogger(__name__)

PATIENCE_MS: Final = SLOT_MS
"""For how long a slot that is over waits for what may still come: room in the budget, the centre's word."""


class Obstacle(enum.StrEnum):
    """Why people counts are not told, of one slot or at present."""

    POLICY = "policy"
    """The policy tells none, or no device counts people."""
    NOISE = "noise"
    """OpenDP is not there, or not as it has to be."""
    GAP = "gap"
    """The agent began, or its clock was set, within the slot: its readings were in memory alone."""
    TOLD = "told"
    """The slot was told: the clock was set back."""
    NO_READING = "no_reading"
    UNCONFIRMED = "unconfirmed"
    """The centre has not said since the start that it stands where this store does."""
    CLOSED = "closed"
    """Another copy of this store, or one before it, may have spent what this one does not know: for 24 hours."""
    BUDGET = "budget"
    """The budget of the last 24 hours has no room for the slot."""


_MAY_PASS: Final = frozenset({Obstacle.UNCONFIRMED, Obstacle.CLOSED, Obstacle.BUDGET})


class People:
    """People counts of one agent, from their readings to what is told."""

    def __init__(
        self,
        plan: CountsPlan | None,
        noise: Noise | None,
        *,
        state: State,
        bindings: Mapping[str, Binding],
        school: str,
        clock: Clock,
        waits_at_first: bool,
    ) -> None:
        """`waits_at_first` closes a new store for 24 hours: nobody knows what one before it has spent."""
        self.plan = plan
        """How counts are told; None where none are."""
        self._noise = noise
        self._state = state
        self._school = school
        self._clock = clock
        self._slots = OpenSlots(bindings, by_room=plan is not None and plan.by_room)
        self._time = PrivacyTime(clock, state.spending)
        self._since_ms: int | None = None
        """Readings are whole from then on; None until the clock can be believed."""
        self._next_ms = 0
        """The start of the slot that is told next."""
        self._drawn: Transaction | None = None
        self._is_confirmed = False
        self._was_closed_early = False
        """Whether 24 hours began before it was known how much time had passed."""
        if waits_at_first and state.spending.kept is None:
            state.spending.close(state.spending.privacy_ms + DAY_MS)

    @property
    def obstacle(self) -> Obstacle | None:
        """Why nothing is told at present; None where slots are told as they end."""
        if self.plan is None:
            return Obstacle.POLICY
        if self._noise is None:
            return Obstacle.NOISE
        if not self._is_confirmed:
            return Obstacle.UNCONFIRMED
        now_ms = self._time.now()
        if now_ms < self._state.spending.closed_until_ms:
            return Obstacle.CLOSED
        if self._state.spending.spent(now_ms) + self.plan.budget.charge_nano > self.plan.budget.rho_nano:
            return Obstacle.BUDGET
        return None

    @property
    def moment(self) -> Moment | None:
        """Privacy time, to be written down."""
        return self._time.moment()

    @property
    def closed_ms(self) -> int:
        """The end of 24 hours that begin at this moment, in privacy time."""
        return self._time.now() + DAY_MS

    def interrupted(self) -> None:
        """The clock was set or cannot be believed: what is being counted has no time of its own any more."""
        self._since_ms = self._drawn = None
        self._slots.clear()

    def put(self, people: Mapping[PeopleSlot, Held]) -> None:
        """Take in readings whose number is on disk."""
        if self._since_ms is not None:
            self._slots.put({place: held for place, held in people.items() if place[1] >= self._next_ms})

    def heard(self, answer: Delivered) -> None:
        """The centre has a batch: if it stands where this store does, no other copy of it was there since."""
        state, batch = self._state, self._state.unacknowledged.get(answer.batch)
        is_ours = batch is not None and batch.head == answer.applied.head and batch.id.epoch == state.epoch
        if is_ours and answer.applied.sequence == answer.batch.sequence:
            self._is_confirmed = True

    def due(self, horizon_ms: int) -> Transaction | None:
        """What to write of the next slot that ends at or before the horizon; the clock can be believed."""
        if self._since_ms is None:
            self._begin()
        if self.plan is None:
            return None
        while self._next_ms + SLOT_MS <= horizon_ms:
            start_ms = self._next_ms
            if self._state.timetable.lesson_hour(start_ms) is None:
                self._go_on(start_ms)
                continue
            obstacle = self._obstacle_of(start_ms)
            if obstacle in _MAY_PASS and horizon_ms < start_ms + SLOT_MS + PATIENCE_MS:
                return None
            if obstacle is None:
                self._drawn = self._drawn or self._draw(start_ms, self.plan)
                return self._drawn
            counts = {CountKey("slots", reason=obstacle): 1}
            return Transaction(kind=Kind.RELEASE, slot_ms=start_ms, counts=counts)
        return None

    def committed(self, transaction: Transaction) -> None:
        """Something about counts is on disk."""
        spending = self._state.spending
        if transaction.spend is not None:
            spending.add(transaction.spend.start_ms, transaction.spend.charge)
        if transaction.privacy_time is not None:
            spending.keep(transaction.privacy_time)
        if transaction.counts_closed_ms is not None:
            spending.close(transaction.counts_closed_ms)
            self._was_closed_early = self._was_closed_early or self.moment is None
        if transaction.slot_ms is not None and transaction.slot_ms == self._next_ms:
            self._go_on(self._next_ms)

    def _begin(self) -> None:
        self._time.believe()
        if self._was_closed_early:
            self._was_closed_early = False
            self._state.spending.close(self.closed_ms)
        self._since_ms = self._clock.now()
        self._next_ms = self._since_ms - self._since_ms % SLOT_MS

    def _go_on(self, start_ms: int) -> None:
        self._drawn = None
        self._next_ms = start_ms + SLOT_MS
        self._slots.drop(self._next_ms)

    def _obstacle_of(self, start_ms: int) -> Obstacle | None:
        if self._since_ms is None or start_ms < self._since_ms:
            return Obstacle.GAP
        if start_ms in self._state.spending.charges:
            return Obstacle.TOLD
        if self._drawn is None and not self._slots.has(start_ms):
            return Obstacle.NO_READING
        return self.obstacle

    def _draw(self, start_ms: int, plan: CountsPlan) -> Transaction:
        """The slot as it will be told, with its noise."""
        assert self._noise is not None
        summaries = [
            self._summary(statistic, start_ms, max(0, self._noise(exact)), plan)
            for statistic, exact in self._slots.statistics(start_ms).items()
        ]
        charge = Charge(self._time.now(), plan.budget.charge_nano)
        return Transaction(
            kind=Kind.RELEASE,
            slot_ms=start_ms,
            spend=Spend(start_ms, charge, plan.budget.rho_nano, plan.budget.sigma_milli),
            privacy_time=self.moment,
            summaries=summaries,
            counts={CountKey("summaries"): len(summaries), CountKey("slots", reason="released"): 1},
        )

    def _summary(self, statistic: Statistic, start_ms: int, noisy: int, plan: CountsPlan) -> NewSummary:
        series = Series(
            quantity=statistic.quantity,
            school=self._school,
            building=statistic.building,
            room=statistic.room,
            device=statistic.device,
            window_s=SLOT_S,
        )
        fields = {"value": noisy, "error95": plan.budget.error95, "band": plan.band(noisy)}
        return NewSummary(encode_series(series), start_ms, encode_fields(Summary(series, start_ms, fields)))


def people_counts(
    table: CountsTable,
    timetable: Timetable,
    *,
    state: State,
    bindings: Mapping[str, Binding],
    school: str,
    clock: Clock,
    waits_at_first: bool,
    make_noise: Callable[[Budget], Noise] = discrete_gaussian,
) -> People:
    """People counts as a policy has them; without noise, none, and that is said once."""
    plan = plan_counts(table, bindings.values(), timetable)
    noise = None
    if plan is not None:
        try:
            noise = make_noise(plan.budget)
        except NoiseMissing as error:
            _log.error("people counts are not told: %s; %s", error.what, error.fix)
    return People(
        plan, noise, state=state, bindings=bindings, school=school, clock=clock, waits_at_first=waits_at_first
    )
