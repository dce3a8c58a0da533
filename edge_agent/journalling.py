"""From frames to the transaction that makes them durable: admitted, late, withheld, duplicate or rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge_agent.admission import NO_ROOM
from edge_agent.counts import Tally
from edge_agent.privacy.people import SLOT_MS
from edge_agent.receipts import pack, unpack
from edge_agent.safety import Teller
from edge_agent.slots import Held
from edge_agent.transactions import UNPLACED, UNPLACED_EVENT, Kind, QuarantineEntry, Run, Transaction

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping, Sequence

    from edge_agent.admission import Admission, Admitted
    from edge_agent.events import Batch
    from edge_agent.lanes import Lane
    from edge_agent.state import State
    from edge_agent.transactions import PeopleSlot


@dataclass(slots=True)
class _OpenRun:
    """Rows of one lane in one cell, as they come in."""

    lane: Lane
    start_ms: int
    end_ms: int
    """The time in which it may go on: that of its cell."""
    windows: tuple[tuple[int, int], ...]
    rows: int
    event_ms: int
    values: tuple[float, ...]
    """Of the row measured last; of two at one moment, of the one that came last."""


@dataclass(slots=True)
class _Draft:
    """A journal transaction as it is put together."""

    admission: Admission
    state: State
    is_provisional: bool
    teller: Teller
    earlier: Mapping[str, array[int]]
    tally: Tally = field(default_factory=Tally)
    runs: list[_OpenRun] = field(default_factory=list)
    running: dict[str, _OpenRun] = field(default_factory=dict)
    """The run of each device that may go on."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Fields of each device that no driver declares."""
    late: list[Run] = field(default_factory=list)
    """Readings of windows that are over, for the night."""
    events: list[Run] = field(default_factory=list)
    receipts: dict[str, dict[int, int]] = field(default_factory=dict)
    known: dict[str, dict[int, int]] = field(default_factory=dict)
    """Marks that are on disk or on their way there, of sessions in which something came again."""
    exchanges: dict[str, list[int]] = field(default_factory=dict)
    quarantine: list[QuarantineEntry] = field(default_factory=list)
    people: dict[PeopleSlot, Held] = field(default_factory=dict)
    restamped: int = 0

    def take(self, batch: Batch) -> None:
        """Admit the frames of one batch and sort their rows."""
        admit, device, received_ms = self.admission.admit, batch.device, batch.received_ms
        marks, running = self.receipts.setdefault(batch.session, {}), self.running
        if batch.exchanges:
            self.exchanges.setdefault(batch.session, []).extend(batch.exchanges)
        for arrival in batch.arrivals:
            admitted = admit(arrival, device, received_ms)
            of, packet_id = admitted.device, arrival.packet_id
            if packet_id:
                if arrival.duplicate and self._is_second_copy(packet_id, admitted.mark, batch.session):
                    self.tally.add("received", admitted.received, of)
                    self.tally.add("duplicate", admitted.received, of)
                    continue
                marks[packet_id] = admitted.mark
            for lane, values, event_ms in admitted.rows:
                run = running.get(of)
                if run is None or run.lane is not lane or not run.start_ms <= event_ms < run.end_ms:
                    self._begin(lane, event_ms, values)
                else:
                    run.rows += 1
                    if event_ms >= run.event_ms:
                        run.event_ms, run.values = event_ms, values
                if lane.apart:
                    self._tell(lane, event_ms, values)
                    self._count_people(lane, event_ms, values)
            if admitted.dropped or admitted.restamped or admitted.rejected:
                self._note(admitted)

    def _note(self, admitted: Admitted) -> None:
        """Count what is seldom."""
        self.restamped += admitted.restamped
        if admitted.dropped:
            self.dropped[admitted.device] = self.dropped.get(admitted.device, 0) + admitted.dropped
        if admitted.rejected:
            self._reject(admitted)

    def _is_second_copy(self, packet_id: int, mark: int, session: str) -> bool:
        """Whether this message is on disk already, or on its way there."""
        first = self.receipts[session].get(packet_id)
        if first is None:
            if session not in self.known:
                self.known[session] = self.state.receipts.of(session) | unpack(self.earlier.get(session, ()))
            first = self.known[session].get(packet_id)
        return first == mark

    def finished_runs(self) -> list[Run]:
        """Count what the runs came to, and place their values."""
        for device, fields in self.dropped.items():
            self.tally.add("dropped", fields, device)
        self.tally.add("restamped", self.restamped)
        finish = self._unplaced if self.is_provisional else self._finished
        finished = [finish(run) for run in self.runs]
        return [run for run in finished if run.columns] + self.late + self.events + self.teller.runs

    def _begin(self, lane: Lane, event_ms: int, values: tuple[float, ...]) -> None:
        start_ms, end_ms, windows = lane.cell(event_ms, self.state.timetable)
        run = _OpenRun(lane, start_ms, end_ms, windows, 1, event_ms, values)
        self.running[lane.binding.device] = run
        self.runs.append(run)

    def _reject(self, admitted: Admitted) -> None:
        device, count = admitted.device, self.tally.add
        for reason, number in admitted.rejected.items():
            count("received", number, device)
            count("rejected", number, device, reason)
        if admitted.quarantine is not None:
            self.quarantine.append(admitted.quarantine)

    def _finished(self, run: _OpenRun) -> Run:
        lane, rows = run.lane, run.rows
        self._count(run)
        if lane.events:
            self.tally.add("summarised", rows * len(lane.events), lane.binding.device)
        finished = Run(lane.binding.device, lane.columns, rows, run.event_ms, lane.ticks(run.values), run.windows)
        return self._without_late(finished) if run.start_ms < self.state.closed_until_ms else finished

    def _unplaced(self, run: _OpenRun) -> Run:
        """The same without windows: nobody knows yet when it was."""
        lane = run.lane
        self._count(run)
        places = [UNPLACED] * len(lane.columns)
        return Run(lane.binding.device, lane.columns, run.rows, run.event_ms, lane.ticks(run.values), places)

    def _count(self, run: _OpenRun) -> None:
        lane, tally = run.lane, self.tally
        values = run.rows * lane.width
        tally.add_to(lane.received, values)
        tally.add_to(lane.admitted, values)
        for privacy_class, columns in lane.withheld.items():
            tally.add("withheld", run.rows * columns, lane.binding.device, privacy_class)

    def _without_late(self, run: Run) -> Run:
        """Count and leave out values whose window is closed; those that the night may tell go apart."""
        ends_ms = [start_ms + length_s * 1000 for start_ms, length_s in run.windows]
        kept = [place for place, end_ms in enumerate(ends_ms) if self.state.is_open(end_ms)]
        self.tally.add("late", run.rows * (len(run.columns) - len(kept)), run.device)
        closed_ms, takes = self.state.closed_until_ms, self.state.late.takes
        late = [
            place
            for place, (column, window) in enumerate(zip(run.columns, run.windows, strict=True))
            if place not in kept and takes((run.device, *column), window, closed_ms)
        ]
        if late:
            of_late = _part(run, late)
            self.late.append(of_late._replace(windows=[(start, -length) for start, length in of_late.windows]))
        return _part(run, kept)

    def _tell(self, lane: Lane, event_ms: int, values: tuple[float, ...]) -> None:
        """A safety state is told when it changes, and the first time it is known."""
        for column in lane.events:
            ticks = column.rule.quantity.to_ticks(values[column.place])
            if self.is_provisional:
                name = ((column.channel, column.rule.quantity.id),)
                self.events.append(Run(lane.binding.device, name, 1, event_ms, [ticks], [UNPLACED_EVENT]))
            else:
                self.teller.tell(lane.binding, column, event_ms, ticks)

    def _count_people(self, lane: Lane, event_ms: int, values: tuple[float, ...]) -> None:
        """Keep what people counts are made of, the last of each cadence slot; nothing of it goes to the disk."""
        if not lane.counted or self.is_provisional:
            return
        binding, hour_ms = lane.binding, event_ms - event_ms % SLOT_MS
        slot = binding.cadence.slot(event_ms, hour_ms)
        for place, channel, rule in lane.counted:
            key = (binding.device, channel, rule.quantity.id), hour_ms, slot
            known = self.people.get(key)
            if known is None or event_ms >= known.event_ms:
                self.people[key] = Held(event_ms, rule.quantity.to_ticks(values[place]))


def _part(run: Run, places: Sequence[int]) -> Run:
    """Some columns of a run."""
    return run._replace(
        columns=tuple(run.columns[place] for place in places),
        ticks=[run.ticks[place] for place in places],
        windows=[run.windows[place] for place in places],
    )


def journal_transaction(
    batches: Sequence[Batch],
    admission: Admission,
    state: State,
    school: str,
    *,
    dropped: int = 0,
    earlier: Mapping[str, array[int]] = MappingProxyType({}),
) -> Transaction:
    """Admit these frames, all stamped by a clock that is believed or none. Changes no state: that follows when the
    transaction is on disk.

    `dropped` frames came in besides, for which there was no room. `earlier` are the receipts of the transaction that
    is being written, and that the state does not have yet.
    """
    is_provisional = bool(batches) and batches[0].is_provisional
    draft = _Draft(admission, state, is_provisional, Teller(state, school), earlier)
    admission.believes_devices = not is_provisional
    for batch in batches:
        draft.take(batch)
        for device in batch.departed:
            draft.tally.add("departed", device=device)
    runs = draft.finished_runs()
    for stage, reason in (("received", ""), ("rejected", NO_ROOM)):
        draft.tally.add(stage, dropped, reason=reason)
    draft.tally.add("summaries", len(draft.teller.summaries))
    return Transaction(
        kind=Kind.JOURNAL,
        runs=runs,
        counts=draft.tally.counts,
        receipts={session: pack(marks) for session, marks in draft.receipts.items() if marks},
        exchanges=draft.exchanges,
        quarantine=draft.quarantine,
        batches=batches,
        summaries=draft.teller.summaries,
        timetable_days=state.live_days(),
        people=draft.people,
    )
