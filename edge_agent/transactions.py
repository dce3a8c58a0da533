"""What the core writes in one go: each kind of transaction is all or nothing on disk, and then in memory."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.counts import Counts
    from edge_agent.events import Batch


NO_WINDOW: Final = (0, 0)
"""Start and length of the window of what is told at once."""


class Kind(enum.StrEnum):
    """Which step of the path a transaction is."""

    JOURNAL = "journal"
    CLOSE = "close"
    SEAL = "seal"
    MARK = "mark"
    REFUSE = "refuse"
    FORK = "fork"
    CHECKPOINT = "checkpoint"


class BatchKind(enum.StrEnum):
    """What a batch carries, and so where it goes."""

    SUMMARIES = "summaries"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class NewSummary:
    """A summary on its way into the outbox: its exact line, and what identifies it."""

    series: str
    start_ms: int
    line: str


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

    An event of safety has no window, and is a run of its own.
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

    sequence: int
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

    sequence: int
    previous_head: bytes
    sealed_ms: int
    most_lines: int
    report: bytes = b""
    split: bool = False
    """Whether to seal summaries of refused batches, in smaller ones, and not the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Everything that one commit writes; parts that stay empty write nothing."""

    kind: Kind
    counts: Counts = field(default_factory=dict)
    runs: Sequence[Run] = ()
    """Admitted readings for the journal: of open windows, and of safety."""
    receipts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """The trace of messages that will be acknowledged, by session and packet id: a second copy has the same mark."""
    quarantine: Sequence[QuarantineEntry] = ()
    batches: Sequence[Batch] = ()
    """What was taken in, to be handed back to the intakes after the commit; not written."""
    summaries: Sequence[NewSummary] = ()
    closed_until_ms: int | None = None
    timetable_days: Mapping[int, int] = field(default_factory=dict)
    seal: SealOrder | None = None
    sequence: int = 0
    """The batch that a mark or a refusal is about."""
    epoch: str = ""
    """The new epoch after a fork."""
    checkpoint: bytes = b""
    """Open windows, as they are after every reading of the journal so far."""
    ledger_before_ms: int = 0
    """Acknowledged bytes sealed before this moment become hashes."""
