"""What goes into the inbox, what comes out of it, and why something may not go in."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telemetry import ContractViolation, DeliveryFault

if TYPE_CHECKING:
    from telemetry.uplink_contract import BatchId, Told


class Kind(enum.StrEnum):
    """What is inside a batch."""

    SUMMARIES = "summaries"
    REPORT = "report"
    REFUSED = "refused"
    """Outside the contract: its mark and hash stand in the chain, its bytes are nowhere."""


class ForkedBatch(ContractViolation):
    """A batch whose number was taken by other bytes, or is further ahead than an agent may be.

    `told` spans what the agent's other copy has told since; None where that is unknown, or there is no other copy.
    """

    code = "forked_batch"

    def __init__(self, what: str, receipt: Receipt, told: Told | None = None, *, is_copy: bool = False) -> None:
        """`is_copy`: its number was taken, so two copies of one database have gone on by themselves."""
        super().__init__(what, fix="open a new epoch and seal anew what is not acknowledged")
        self.receipt = receipt
        self.told = told
        self.is_copy = is_copy


class InboxFull(DeliveryFault):
    """More batches wait for the disk than the inbox takes on."""

    code = "inbox_full"


class InboxFault(DeliveryFault):
    """The disk did not take the batch; nothing of it is acknowledged."""

    code = "inbox_fault"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it came: whose, which, and its exact bytes. `lines` is how many summaries are inside."""

    agent: str
    id: BatchId
    kind: Kind
    body: bytes
    lines: int
    told: Told | None = None
    """What its summaries span; None where there are none."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch the inbox holds, at its place in the order of arrival."""

    position: int
    agent: str
    kind: Kind
    body: bytes
    received_ms: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an epoch stands: the highest batch without a gap before it, and the ledger's head there."""

    epoch: str
    applied: int
    head: bytes
    is_refused: bool = False
    """Whether the batch that it answers is marked as refused: its bytes are nowhere."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one agent has been acknowledged for."""

    agent: str
    batches: int
    reports: int
    lines: int
    applied: str
