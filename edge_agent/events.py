"""What happens to the core, and what the core wants done: the whole of its contact with the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from device_drivers.contract import Frame  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.transactions import SealedBatch, Transaction
    from telemetry.uplink_contract import BatchId


class Arrival(Struct, frozen=True, gc=False):
    """One frame as an intake took it in."""

    frame: Frame
    packet_id: int = 0
    """By which its sender knows it, at QoS 1; 0 when nobody waits for a word."""
    duplicate: bool = False
    """Whether its sender may have sent it before."""
    retained: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Frames that came in together, by one way."""

    arrivals: Sequence[Arrival]
    received_ms: int
    device: str = ""
    """Whose they are; empty over MQTT, where the topic tells."""
    session: str = ""
    """In which the packet ids are unique."""
    token: object = None
    """What the intake wants back, with the batch, once it is on disk; None when nobody waits."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Frames came in."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction is on disk; `batch` is what a seal made of the summaries that waited."""

    transaction: Transaction
    batch: SealedBatch | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The centre says that a batch is durable there."""

    batch: BatchId


@dataclass(frozen=True, slots=True)
class Refused:
    """The centre will never take this batch as it is: 400, 413 or 422."""

    batch: BatchId
    status: int


@dataclass(frozen=True, slots=True)
class Forked:
    """The centre has other bytes under this identity: another copy of this store has been here."""

    batch: BatchId


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A batch did not arrive, or nobody knows; to be sent again."""

    batch: BatchId
    reason: str
    retry_after_s: float | None = None


Event: TypeAlias = Arrived | Tick | Committed | Delivered | Refused | Forked | Undelivered


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


Effect: TypeAlias = Commit | Acknowledge | Send
