"""From frames to the transaction that makes them durable: admitted, late, withheld, duplicate or rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.closing import summary_line
from edge_agent.counts import Tally
from edge_agent.state import stamp_of_event
from edge_agent.transactions import NO_WINDOW, Kind, NewSummary, QuarantineEntry, Receipt, Transaction
from edge_agent.windows import Held, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.admission import Admission, Admitted, Binding
    from edge_agent.events import Arrival
    from edge_agent.privacy.rules import Span
    from edge_agent.state import SeriesKey, State
    from telemetry import Reading


@dataclass(slots=True)
class _Draft:
    """A journal transaction as it is put together."""

    admission: Admission
    state: State
    school: str
    tally: Tally = field(default_factory=Tally)
    readings: list[Reading] = field(default_factory=list)
    windows: list[tuple[int, int]] = field(default_factory=list)
    receipts: dict[tuple[str, int], Receipt] = field(default_factory=dict)
    quarantine: list[QuarantineEntry] = field(default_factory=list)
    summaries: list[NewSummary] = field(default_factory=list)
    told: dict[SeriesKey, Held] = field(default_factory=dict)
    """Safety events of this very transaction."""

    def take(self, arrival: Arrival) -> None:
        """Admit one frame and sort its readings."""
        admitted = self.admission.admit(arrival)
        device, readings, count = admitted.device, admitted.readings, self.tally.add
        received = admitted.received
        count("received", received, device)
        if self._is_second_copy(arrival, admitted):
            count("duplicate", received, device)
            return
        count("dropped", admitted.dropped, device)
        for reason, number in admitted.rejected.items():
            count("rejected", number, device, reason)
        if admitted.quarantine is not None:
            self.quarantine.append(admitted.quarantine)
        if readings:
            count("admitted", len(readings), device)
            self._sort(readings, self.admission.bindings[device])

    def _is_second_copy(self, arrival: Arrival, admitted: Admitted) -> bool:
        delivery = arrival.delivery
        if delivery is None:
            return False
        key = (delivery.session, delivery.packet_id)
        digest = admitted.digest
        known = self.receipts[key].digest if key in self.receipts else self.state.receipts.get(key)
        self.receipts[key] = Receipt(*key, digest)
        return delivery.duplicate and known == digest

    def _sort(self, readings: Iterable[Reading], binding: Binding) -> None:
        """Readings of one frame; most share their moment, so each kind of window is looked up once a moment."""
        rules, timetable, closed_ms = binding.rules, self.state.timetable, self.state.closed_until_ms
        found: dict[Span, tuple[int, int]] = {}
        moment_ms = -1
        for reading in readings:
            rule = rules[reading.quantity]
            if rule.is_withheld:
                self.tally.add("withheld", 1, binding.device, str(rule.privacy_class))
                continue
            if rule.is_event:
                self._tell(reading, binding)
                continue
            event_ms = reading.event_ms
            if event_ms != moment_ms:
                found.clear()
                moment_ms = event_ms
            window = found.get(rule.span)
            if window is None:
                window = found[rule.span] = rule.window_at(event_ms, timetable)
            if window[0] + window[1] * 1000 <= closed_ms:
                self.tally.add("late", 1, binding.device)
            else:
                self.readings.append(reading)
                self.windows.append(window)

    def _tell(self, reading: Reading, binding: Binding) -> None:
        """A safety state is told when it changes, and the first time it is known."""
        key = reading[:3]
        told = self.told.get(key) or self.state.safety.get(key)
        self.readings.append(reading)
        self.windows.append(NO_WINDOW)
        self.tally.add("summarised", device=reading.device)
        if told is not None and told.ticks == reading.ticks:
            return
        stamp_ms = stamp_of_event(reading.event_ms, told)
        self.told[key] = Held(stamp_ms, reading.ticks)
        self.summaries.append(summary_line(key, binding, self.school, Window(stamp_ms, 1), {"last": reading.ticks}))
        self.tally.add("summaries")


def journal_transaction(arrivals: Iterable[Arrival], admission: Admission, state: State, school: str) -> Transaction:
    """Admit these frames. Changes no state: that follows when the transaction is on disk."""
    draft = _Draft(admission, state, school)
    tokens = []
    for arrival in arrivals:
        draft.take(arrival)
        if arrival.token is not None:
            tokens.append(arrival.token)
    return Transaction(
        kind=Kind.JOURNAL,
        counts=draft.tally.counts,
        readings=draft.readings,
        windows=draft.windows,
        receipts=list(draft.receipts.values()),
        quarantine=draft.quarantine,
        tokens=tokens,
        summaries=draft.summaries,
        timetable_days=state.live_days(),
    )
