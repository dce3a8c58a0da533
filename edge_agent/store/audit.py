"""Reads a store beside its agent: does the balance close, is the chain whole, how long would the buffer last."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from edge_agent.state import State
from edge_agent.store import engine
from edge_agent.store.balance import balance_of, imbalances
from edge_agent.store.recovery import read_recovered
from telemetry.uplink_contract import GENESIS, chain, link

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import apsw

    from edge_agent.admission import Binding
    from edge_agent.state import Recovered
    from edge_agent.timetable import Timetable

_DAMAGED_EPOCHS: Final = "SELECT coalesce(max(value), '') FROM meta WHERE name = 'damaged_epochs'"


@dataclass(frozen=True, slots=True)
class Audit:
    """The balance of one moment, in readings and summaries, and what does not hold of it."""

    balance: Mapping[str, int]
    rejected: Mapping[str, int]
    devices: Mapping[str, Mapping[str, int]]
    epoch: str
    last_sequence: int
    unacknowledged_batches: int
    oldest_stored_ms: int | None
    faults: list[str] = field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Whether every reading and every summary is accounted for."""
        return not self.faults


def audit(folder: Path, timetable: Timetable, bindings: Mapping[str, Binding]) -> Audit:
    """Check the store in `folder`, in one snapshot. Raises `StoreUnusable`."""
    with engine.reading(folder) as connection:
        try:
            recovered = read_recovered(connection)
        except (ValueError, LookupError) as error:
            raise engine.unusable(folder, error) from None
        found = _audit(connection, recovered, timetable, bindings)
        lost = [engine.LOG_IS_GONE] if engine.has_lost_log(connection, folder) else []
        return replace(found, faults=[*lost, *found.faults])


def _audit(
    connection: apsw.Connection, recovered: Recovered, timetable: Timetable, bindings: Mapping[str, Binding]
) -> Audit:
    state = State.rebuild(recovered, timetable, bindings)
    balance = balance_of(recovered) | {"open": state.open_readings()}
    rejected: dict[str, int] = {}
    devices: dict[str, dict[str, int]] = {}
    for key, number in recovered.counts.items():
        if key.stage == "rejected":
            rejected[key.reason] = rejected.get(key.reason, 0) + number
        if key.device:
            of_device = devices.setdefault(key.device, {})
            of_device[key.stage] = of_device.get(key.stage, 0) + number
    return Audit(
        balance=balance,
        rejected=rejected,
        devices=devices,
        epoch=recovered.epoch,
        last_sequence=recovered.next_sequence - 1,
        unacknowledged_batches=len(recovered.unacknowledged),
        oldest_stored_ms=state.oldest_stored_ms(),
        faults=[*imbalances(balance), *broken_links(connection)],
    )


def broken_links(connection: apsw.Connection) -> list[str]:
    """Batches whose bytes or place in the chain are not what they were sealed as; of an epoch that a disk has damaged
    some may be missing, and that was said and counted then."""
    faults = []
    damaged = str(engine.row(connection, _DAMAGED_EPOCHS)[0]).split()
    rows = connection.execute("SELECT epoch, sequence, body, body_sha256, head FROM batch ORDER BY epoch, sequence")
    epoch, expected, head = "", 1, GENESIS
    for row_epoch, sequence, body, digest, row_head in rows:
        if row_epoch != epoch:
            epoch, expected, head = row_epoch, 1, GENESIS
        is_gap = sequence != expected
        if is_gap and epoch not in damaged:
            faults.append(f"batch {epoch}-{expected} is missing")
        if body is not None and hashlib.sha256(body).digest() != digest:
            faults.append(f"the bytes of batch {epoch}-{sequence} have changed")
        linked = link(head, digest) if body is None else chain(head, body)
        if linked != row_head and not is_gap:
            faults.append(f"batch {epoch}-{sequence} does not follow the one before it")
        expected, head = sequence + 1, row_head
    return faults
