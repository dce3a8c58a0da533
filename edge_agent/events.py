"""What happens to the core, and what the core wants done: the whole of its contact with the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from device_drivers.contract import Frame  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.transactions import Span, Transaction, Written
    from telemetry.uplink_contract import BatchId


class Arrival(Struct, frozen=True, gc=False):
    """One frame as an intake took it in."""

    frame: Frame
    packet_id: int = 0
    """By which its sender knows it, at QoS 1 or 2; 0 when nobody waits for a word."""
    duplicate: bool = False
    """Whether its sender may have sent it before."""
    retained: bool = False


class Batch(Struct, frozen=True, eq=False, gc=False):
    """Frames that came in together, by one way."""

    arrivals: Sequence[Arrival]
    received_ms: int
    device: str = ""
    """Whose they are; empty over MQTT, where the topic tells."""
    session: str = ""
    """In which the packet ids are unique."""
    token: object = None
    """What the intake wants back, with the batch, once it is on disk; None when nobody waits."""
    exchanges: Sequence[int] = ()
    """Steps of QoS 2 in its session: packet ids taken over with these frames, negative ones of those given free."""
    departed: Sequence[str] = ()
    """Devices whose wills came into force; empty where the topic of a will is no device's."""
    is_provisional: bool = False
    """Whether the clock could not be believed when it came in: `received_ms` is then provisional time."""


class Arrived(Struct, frozen=True, gc=False):
    """Frames came in, in this order."""

    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction is on disk, and what it came to there."""

    transaction: Transaction
    written: Written


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """There is no room on the disk: nothing of a transaction is written, and it may be tried again."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Applied:
    """Where an epoch stands at the centre, in its own words: the last batch without a gap, and the ledger's head."""

    sequence: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Delivered:
    """The centre says that a batch is durable there."""

    batch: BatchId
    applied: Applied


@dataclass(frozen=True, slots=True)
class Refused:
    """The centre will never take this batch as it is: 400, 413 or 422.

    Without `applied`, it is not the centre's own word: somebody before it refused.
    """

    batch: BatchId
    status: int
    applied: Applied | None = None


@dataclass(frozen=True, slots=True)
class Forked:
    """The centre cannot put this batch behind those it has.

    It knows other bytes by its number, so another copy of this store has been there and told what `told` spans; or,
    where `told` is None, it may have lost batches that it acknowledged.
    """

    batch: BatchId
    applied: Applied
    told: Span | None = None


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A batch did not arrive, or nobody knows; to be sent again."""

    batch: BatchId
    reason: str
    retry_after_s: float | None = None


Event: TypeAlias = Arrived | Tick | Committed | Uncommitted | Delivered | Refused | Forked | Undelivered


@dataclass(frozen=True, slots=True)
class Commit:
    """Write this transaction, whole, and say when it is on disk."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Hand these back to the intakes: they are on disk."""

    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Send:
    """Offer these exact bytes to the centre."""

    batch: BatchId
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Hold:
    """Take nothing in until `Resume`: whoever sends has to wait."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Take in again."""


Effect: TypeAlias = Commit | Acknowledge | Send | Hold | Resume
