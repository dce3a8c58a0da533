"""The agent's durable state as it stands in memory, and how it is rebuilt from the store after a start."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.late_windows import LateWindows
from edge_agent.open_windows import OpenWindows
from edge_agent.slots import Held
from edge_agent.timetable import DAY_S, CompiledTimetable
from edge_agent.transactions import Run, Turn
from edge_agent.unplaced import Unplaced
from edge_agent.windows import Cadence, SeriesWindows, Window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from edge_agent.admission import Binding
    from edge_agent.counts import CountKey
    from edge_agent.open_windows import SeriesKey
    from edge_agent.privacy.budget import Spending
    from edge_agent.receipts import Receipts
    from edge_agent.timetable import Timetable
    from edge_agent.transactions import Fitting, SealedBatch, Transaction
    from telemetry.uplink_contract import BatchId

_REMOVED: Final = Cadence(60_000, 180_000)
"""Assumed of a device that the configuration no longer has; its windows are withheld anyway."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the store held when it was opened."""

    epoch: str
    next_sequence: int
    head: bytes
    ending: int | None
    """The store was damaged, and its epoch has to be closed before anything else is sealed: the number of the report
    that closes it, 0 before there is one."""
    closed_until_ms: int
    told_elsewhere_ms: int
    turn: Turn
    checkpoint: bytes
    journal: Sequence[Run]
    """Readings committed after the checkpoint, in order."""
    journal_rows: int
    """In how many transactions, those without a reading too."""
    counts: Mapping[CountKey, int]
    receipts: Receipts
    exchanges: Mapping[str, Collection[int]]
    """By session, the packet ids of QoS 2 that are taken over and not given free."""
    unacknowledged: Sequence[SealedBatch]
    waiting: int
    """Summaries in the outbox that are not sealed."""
    splitting: bool
    oldest_waiting_ms: int | None
    timetable_days: Mapping[int, int]
    used_bytes: int
    spending: Spending
    fittings: Mapping[str, Fitting]
    """Where every device was, and which unit, when that was last written."""


@dataclass(slots=True)
class State:
    """Everything the core knows. It changes when a commit completes, never before."""

    epoch: str
    next_sequence: int
    head: bytes
    ending: int | None
    closed_until_ms: int
    told_elsewhere_ms: int
    """Windows that end at or before this, another copy of the store has told."""
    turn: Turn
    counts: dict[CountKey, int]
    receipts: Receipts
    """Which messages were acknowledged, as far as they may come again."""
    unacknowledged: dict[BatchId, SealedBatch]
    waiting: int
    splitting: bool
    """Whether summaries of refused batches may wait to be sealed in smaller ones."""
    oldest_waiting_ms: int | None
    timetable: CompiledTimetable
    used_bytes: int
    """Of the store's file, what was in use when that was last seen."""
    journal_rows: int
    """What this start had to go through behind the checkpoint, in transactions."""
    spending: Spending
    fittings: dict[str, Fitting]
    """As the store has them."""
    unplaced: Unplaced = field(default_factory=Unplaced)
    """Readings that wait until the clock can be believed."""
    windows: OpenWindows = field(default_factory=OpenWindows)
    late: LateWindows = field(default_factory=LateWindows)
    """What has come for windows that are over, until the night."""
    safety: dict[SeriesKey, Held] = field(default_factory=dict)
    """The last state told of each safety series, and the second it was stamped with."""

    @classmethod
    def rebuild(cls, recovered: Recovered, timetable: Timetable, bindings: Mapping[str, Binding]) -> State:
        """The state before the stop: the checkpoint, and every reading journalled since, in order."""
        state = cls(
            epoch=recovered.epoch,
            next_sequence=recovered.next_sequence,
            head=recovered.head,
            ending=recovered.ending,
            closed_until_ms=recovered.closed_until_ms,
            told_elsewhere_ms=recovered.told_elsewhere_ms,
            turn=recovered.turn,
            counts=dict(recovered.counts),
            receipts=recovered.receipts,
            unacknowledged={batch.id: batch for batch in recovered.unacknowledged},
            waiting=recovered.waiting,
            splitting=recovered.splitting,
            oldest_waiting_ms=recovered.oldest_waiting_ms,
            timetable=CompiledTimetable(timetable, dict(recovered.timetable_days)),
            used_bytes=recovered.used_bytes,
            journal_rows=recovered.journal_rows,
            spending=recovered.spending,
            fittings=dict(recovered.fittings),
        )
        if recovered.checkpoint:
            state._restore(recovered.checkpoint, bindings)
        for run in recovered.journal:
            state.apply(run, bindings)
        state.close_over(state.closed_until_ms, bindings)
        return state

    def close_over(self, horizon_ms: int, bindings: Mapping[str, Binding]) -> None:
        """Drop the windows that end at or before the horizon."""
        every = self.windows.series.items()
        self.close([(key, window) for key, windows in every for window in windows.over(horizon_ms)], bindings)

    def close(self, windows: Sequence[tuple[SeriesKey, Window]], bindings: Mapping[str, Binding]) -> None:
        """Drop windows that are over, those of a series oldest first, and note what is late from here on."""
        series = self.windows.series
        for key, window in windows:
            self.late.note(key, window, series[key].carried, _cadence(bindings, key[0]))
            series[key].close(window)
        self.windows.closed()

    def apply(self, run: Run, bindings: Mapping[str, Binding]) -> None:
        """Put journalled readings where they belong: into their windows; of safety, to what was told; or aside."""
        if run.rows and not run.columns:
            self.close_over(run.event_ms, bindings)
            self.late.revise(run.event_ms)
            return
        if run.columns and run.windows[0][1] < 0:
            self.late.put(run, _cadence(bindings, run.device))
            return
        if not run.columns or run.windows[0][1] == 0:
            if not self.unplaced.apply(run):
                self._tell(run)
            return
        self.windows.put(run, _cadence(bindings, run.device))

    def _tell(self, run: Run) -> None:
        """Note a safety state: a run of its own."""
        ((channel, quantity),), (ticks,) = run.columns, run.ticks
        key = (run.device, channel, quantity)
        told = self.safety.get(key)
        if told is None or told.ticks != ticks:
            self.safety[key] = Held(stamp_of_event(run.event_ms, told), ticks)

    def live_days(self) -> dict[int, int]:
        """The compiled days in which a window may still be opened."""
        first = self.closed_until_ms // (DAY_S * 1000) - 1
        return {day: hours for day, hours in self.timetable.days.items() if day >= first}

    def is_open(self, end_ms: int) -> bool:
        """Whether a window that ends then can still take readings."""
        return end_ms > self.closed_until_ms

    def revision_of(self, end_ms: int) -> int:
        """As which revision a window that ends then is told: it may have been told before the clock was set back.

        These are even. The night's are the odd ones behind them: of whatever turn, no window has two of one number.
        """
        return 2 * self.turn.number if end_ms <= self.turn.told_until_ms else 0

    def next_turn(self) -> Turn:
        """What holds once the clock was set back: everything told so far may be told again."""
        stamps = [held.event_ms + 1000 for held in self.safety.values()]
        told_until_ms = max(self.turn.told_until_ms, self.closed_until_ms, *stamps)
        return Turn(self.turn.number + 1, told_until_ms)

    def turned(self, transaction: Transaction, bindings: Mapping[str, Binding]) -> None:
        """Windows may be told again from here on: the clock was set back, or it was night."""
        for run in transaction.runs:
            self.apply(run, bindings)
        if transaction.turn is not None and transaction.closed_until_ms is not None:
            self.turn_back(transaction.turn, transaction.closed_until_ms, transaction.turned_ms)

    def turn_back(self, turn: Turn, closed_until_ms: int, now_ms: int) -> None:
        """The clock was set back to `now_ms`: nothing that is carried on was measured after it."""
        self.turn, self.closed_until_ms = turn, closed_until_ms
        for windows in self.windows.series.values():
            windows.carried = _not_after(windows.carried, now_ms)
        self.safety = {key: _told_before(held, now_ms) for key, held in self.safety.items()}

    def checkpointed(self, transaction: Transaction) -> None:
        """A checkpoint is on disk: forget what it left out, and receipts that nobody asks for any more."""
        self.receipts.checkpoint(trims=transaction.trims_receipts)
        self.fittings = dict(transaction.fittings) or self.fittings
        if not transaction.refitted:
            return
        ended = frozenset(transaction.ended)
        self.windows.drop(ended)
        self.late.refit(dict.fromkeys(transaction.refitted, self.closed_until_ms))
        self.safety = {key: held for key, held in self.safety.items() if key not in ended}
        self.unplaced = Unplaced(run for run in self.unplaced if run.device not in transaction.refitted)

    def oldest_stored_ms(self) -> int | None:
        """Start of the oldest window that the centre has not acknowledged."""
        starts = [batch.oldest_ms for batch in self.unacknowledged.values()]
        return min((start for start in (*starts, self.oldest_waiting_ms) if start is not None), default=None)

    def open_readings(self) -> int:
        """Readings in windows that are not over, or that have none yet."""
        return self.windows.readings() + self.unplaced.readings

    def checkpoint(
        self,
        turned_ms: int | None = None,
        *,
        without: frozenset[SeriesKey] = frozenset(),
        refitted: frozenset[str] = frozenset(),
    ) -> bytes:
        """The open windows as the store keeps them; with `turned_ms`, as after the clock was set back to it; without
        some series, and what waits for the clock of devices that are refitted."""
        now_ms = 1 << 62 if turned_ms is None else turned_ms
        series = [
            [
                *key,
                windows.carried if turned_ms is None else _not_after(windows.carried, turned_ms),
                [window.row() for window in windows.open.values()],
            ]
            for key, windows in self.windows.series.items()
            if key not in without
        ]
        safety = [[*key, *_told_before(held, now_ms)] for key, held in self.safety.items() if key not in without]
        document = {
            "series": series,
            "safety": safety,
            "late": self.late.document(dict.fromkeys(refitted, self.closed_until_ms)),
            "unplaced": [
                [*run[:4], list(run.ticks), run.windows] for run in self.unplaced if run.device not in refitted
            ],
        }
        return msgspec.json.encode(document)

    def _restore(self, checkpoint: bytes, bindings: Mapping[str, Binding]) -> None:
        document = msgspec.json.decode(checkpoint)
        for device, channel, quantity, carried, rows in document["series"]:
            kept = SeriesWindows(carried=Held(*carried) if carried else None)
            for row in rows:
                window = Window.restore(row, _cadence(bindings, device))
                kept.open[window.start_ms, window.length_s] = window
            self.windows.restore((device, channel, quantity), kept)
        for device, channel, quantity, event_ms, ticks in document["safety"]:
            self.safety[device, channel, quantity] = Held(event_ms, ticks)
        self.unplaced = Unplaced(_run(row) for row in document.get("unplaced", ()))
        self.late = LateWindows.restore(document.get("late", {}), partial(_cadence, bindings))


def open_readings_of(checkpoint: bytes, runs: Sequence[Run], closed_until_ms: int) -> int:
    """Readings in windows that are not over, and in none yet, from what the store keeps of them."""
    document = msgspec.json.decode(checkpoint or b'{"series": [], "unplaced": []}')
    windows: list[list[int]] = [window for *_, rows in document["series"] for window in rows]
    kept = sum(rows for start_ms, length_s, rows, _ in windows if start_ms + length_s * 1000 > closed_until_ms)
    unplaced = Unplaced(_run(row) for row in document.get("unplaced", ()))
    for run in runs:
        if run.columns and run.windows[0][1] > 0:
            ends_ms = [start_ms + length_s * 1000 for start_ms, length_s in run.windows]
            kept += run.rows * sum(end_ms > closed_until_ms for end_ms in ends_ms)
        elif not run.rows or (run.columns and run.windows[0][1] == 0):
            unplaced.apply(run)
    return kept + unplaced.readings


def stamp_of_event(event_ms: int, told: Held | None) -> int:
    """The second an event is stamped with: its own, or the first after the event told before it."""
    second = event_ms - event_ms % 1000
    return second if told is None else max(second, told.event_ms + 1000)


def _run(row: list[Any]) -> Run:
    device, columns, rows, event_ms, ticks, windows = row
    names = tuple((channel, quantity) for channel, quantity in columns)
    return Run(device, names, rows, event_ms, ticks, [(start_ms, length_s) for start_ms, length_s in windows])


def _not_after(held: Held | None, now_ms: int) -> Held | None:
    return None if held is None else Held(min(held.event_ms, now_ms), held.ticks)


def _told_before(held: Held, now_ms: int) -> Held:
    return Held(min(held.event_ms, now_ms - now_ms % 1000 - 1000), held.ticks)


def _cadence(bindings: Mapping[str, Binding], device: str) -> Cadence:
    binding = bindings.get(device)
    return _REMOVED if binding is None else binding.cadence
