"""What the core writes in one go: each kind of transaction is all or nothing on disk, and then in memory."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping, Sequence

    from edge_agent.counts import Counts
    from edge_agent.events import Batch
    from edge_agent.merging import MergeOrder
    from edge_agent.open_windows import SeriesKey
    from edge_agent.privacy.budget import Charge, Moment
    from edge_agent.slots import Held
    from telemetry.uplink_contract import BatchId


NO_WINDOW: Final = (0, 0)
"""Start and length of the window of what is told at once."""
UNPLACED: Final = (-1, 0)
"""In the place of a window: the clock could not be believed, so the run's time is provisional."""
UNPLACED_EVENT: Final = (-2, 0)
"""The same for what is told at once, as soon as it is known when it was."""


class Kind(enum.StrEnum):
    """Which step of the path a transaction is."""

    JOURNAL = "journal"
    CLOSE = "close"
    RELEASE = "release"
    """A slot is over: what is told of people in it, or that nothing is."""
    SEAL = "seal"
    MARK = "mark"
    """The centre has a batch."""
    REFUSE = "refuse"
    """The centre will never have a batch."""
    FORK = "fork"
    """Another copy of this store has been at the centre."""
    RECALL = "recall"
    """The centre has lost a batch that it had: it is offered again."""
    TURN = "turn"
    """The clock was set back behind what is told: from here on, windows are told again, as revisions."""
    REFIT = "refit"
    """Devices were moved or replaced: what was open of them is ended."""
    REVISE = "revise"
    """It is night: what came late is told as revisions."""
    PLACE = "place"
    """What has waited for the clock finds its windows."""
    SHORTEN = "shorten"
    """Of the oldest acknowledged batches, the hashes alone stay."""
    MERGE = "merge"
    """The oldest summaries that wait become fewer, over longer windows."""
    CHECKPOINT = "checkpoint"


class BatchKind(enum.StrEnum):
    """What a batch carries, and so where it goes."""

    SUMMARIES = "summaries"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class NewSummary:
    """A summary on its way into the outbox: the parts of its exact line."""

    series: str
    start_ms: int
    fields: str

    @property
    def line(self) -> str:
        """The line, without its newline."""
        return f"{self.series} {self.fields} {self.start_ms}"


class Waiting(NamedTuple):
    """A summary of the outbox that is not sealed."""

    number: int
    """Of its row."""
    start_ms: int
    line: str
    """Without its newline; empty where the row is not what was written."""


class Fitting(NamedTuple):
    """Where a device is, and which unit it is."""

    place: str
    """Building and room."""
    fitted: str
    """The date on which the unit was fitted, if the configuration says it."""


PeopleSlot: TypeAlias = tuple[tuple[str, str, str], int, int]
"""Device, channel and quantity; the start of an hour in milliseconds; and which cadence slot of it."""
Columns: TypeAlias = tuple[tuple[str, str], ...]
"""Channel and quantity of each value of a run."""


class Run(NamedTuple):
    """Rows of one device, one after the other, that share their windows and the slots in them.

    A slot keeps the last value measured in it, so of a run its last row and the number of its rows say everything.
    """

    device: str
    columns: Columns
    rows: int
    event_ms: int
    """When the last row was measured."""
    ticks: Sequence[int]
    """Its values."""
    windows: Sequence[tuple[int, int]]
    """Start in milliseconds and length in seconds of the window of each: decided once, no edited rule moves it.

    Of readings that came after their window was told, the length is negative.

    An event of safety has no window, and is a run of its own.
    """


PLACED: Final = Run("", (), 0, 0, (), ())
"""Stands in the journal where the runs that had no place have found theirs, behind it.

A run without columns that has a row stands where all that came late was revised; its time is that up to which windows
were closed then.
"""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """A frame that was refused: never its bytes, only what kind of mistake it was."""

    driver: str
    reason: str
    length: int


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """Exact bytes, numbered and chained: what is sent, for ever the same."""

    id: BatchId
    kind: BatchKind
    body: bytes
    head: bytes
    summaries: int
    sealed_ms: int
    oldest_ms: int | None = None
    """Start of the oldest window inside."""


@dataclass(frozen=True, slots=True)
class SealOrder:
    """What to seal next: a report, or, where its text is empty, the summaries that wait, the newest first."""

    id: BatchId
    previous_head: bytes
    sealed_ms: int
    most_lines: int
    report: bytes = b""
    split: bool = False
    """Whether to seal summaries of refused batches, in smaller ones, and not the newest."""
    closes: bool = False
    """Whether this report is the last batch of an epoch that ends."""


@dataclass(frozen=True, slots=True)
class Span:
    """Windows from the start of the oldest to the end of the newest."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Spend:
    """What a slot that is told costs."""

    start_ms: int
    charge: Charge
    rho_nano: int
    """The budget it has to fit in."""
    sigma_milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Everything that one commit writes; parts that stay empty write nothing."""

    kind: Kind
    counts: Counts = field(default_factory=dict)
    runs: Sequence[Run] = ()
    """Admitted readings for the journal: of open windows, and of safety."""
    receipts: Mapping[str, array[int]] = field(default_factory=dict)
    """The trace of messages that will be acknowledged, by session, packed (`edge_agent.receipts`)."""
    exchanges: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Steps of QoS 2, by session: packet ids taken over, negative ones of those given free."""
    quarantine: Sequence[QuarantineEntry] = ()
    batches: Sequence[Batch] = ()
    """What was taken in, to be handed back to the intakes after the commit; not written."""
    summaries: Sequence[NewSummary] = ()
    closed_until_ms: int | None = None
    turn: Turn | None = None
    turned_ms: int = 0
    """What the clock showed when it had been set back."""
    timetable_days: Mapping[int, int] = field(default_factory=dict)
    seal: SealOrder | None = None
    batch: BatchId | None = None
    """Which a mark, a refusal or a recall is about."""
    head: bytes = b""
    """Of a recall: the ledger's head before the batch, as the centre states it; empty where it was compared before."""
    epoch: str = ""
    """The new epoch that begins."""
    told: Span | None = None
    """What the other copy has told the centre, after a fork."""
    checkpoint: bytes = b""
    """Open windows, as they are after every reading of the journal so far."""
    trims_receipts: bool = False
    """Whether receipts that nobody asks for any more are forgotten with this checkpoint."""
    ledger_before_ms: int = 0
    """Acknowledged bytes sealed before this moment become hashes; 0 while nobody knows what time it is."""
    fittings: Mapping[str, Fitting] = field(default_factory=dict)
    """Where every device is, and which unit, where that is not what the store has."""
    refitted: frozenset[str] = frozenset()
    """Devices of which that changed."""
    ended: Sequence[SeriesKey] = ()
    """Series of theirs whose open windows are dropped."""
    ran_s: float = 0.0
    """For how long the agent has run since the checkpoint before."""
    shorten_bytes: int = 0
    """How many bytes of acknowledged batches to give up, the oldest first."""
    merge: MergeOrder | None = None
    people: Mapping[PeopleSlot, Held] = field(default_factory=dict)
    """Readings of people, to be kept in memory after the commit; never written."""
    slot_ms: int | None = None
    """The start of a slot that is over."""
    spend: Spend | None = None
    privacy_time: Moment | None = None
    counts_closed_ms: int | None = None
    """The privacy time before which nothing of people is told."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How time went on after the clock was set back."""

    number: int
    """How often it was: windows that may have been told before are told as twice this revision."""
    told_until_ms: int
    """Windows that end at or before this may have been told before."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a commit came to, where only the store could know."""

    used_bytes: int = 0
    """Of the database, what is in use."""
    batch: SealedBatch | None = None
    """Which a seal made, or a recall found."""
    counts: Counts = field(default_factory=dict)
    """What the store itself counted, in the same commit."""
    waiting: tuple[int, int | None] | None = None
    """Summaries that are not sealed and the oldest start of them, where the commit changed that by itself."""
