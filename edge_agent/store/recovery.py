"""What a store holds for a restart, read in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.state import Recovered
from edge_agent.store import fittings, journal, outbox, spending, summaries
from edge_agent.store.balance import balance_of, imbalances
from edge_agent.store.engine import row, used_bytes
from edge_agent.transactions import Turn

if TYPE_CHECKING:
    import apsw


def check_readable(connection: apsw.Connection) -> None:
    """Read everything that a restart needs. Raises `apsw.Error`, ValueError or LookupError where it is damaged.

    SQLite does not look into its values: one that has changed shows in a sum of its own, or in the balance.
    """
    if not row(connection, "SELECT count(*) FROM meta WHERE name = 'epoch'")[0]:
        return
    faults = imbalances(balance_of(read_recovered(connection)))
    if faults:
        raise ValueError(f"the balance does not close: {faults[0]}")


def is_past_known(connection: apsw.Connection) -> bool:
    """Whether it is known up to when windows were closed; a damaged store may have lost that."""
    query = "SELECT name FROM meta WHERE name IN ('past_unknown', 'closed_until_ms')"
    return {name for (name,) in connection.execute(query)} != {"past_unknown"}


def read_recovered(connection: apsw.Connection) -> Recovered:
    """The durable state, for the agent that starts on it or for an audit beside it."""
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    epoch = meta["epoch"]
    checkpoint, runs = journal.read_windows(connection)
    next_sequence, head = outbox.read_head(connection, epoch)
    waiting, oldest_ms = summaries.count(connection)
    return Recovered(
        epoch=epoch,
        next_sequence=next_sequence,
        head=head,
        ending=int(meta["ending"]) if "ending" in meta else None,
        closed_until_ms=int(meta.get("closed_until_ms", "0")),
        told_elsewhere_ms=int(meta.get("told_elsewhere_ms", "0")),
        turn=Turn(int(meta.get("turn", "0")), int(meta.get("told_until_ms", "0"))),
        checkpoint=checkpoint,
        journal=runs,
        journal_rows=journal.count_since(connection),
        counts=journal.read_counts(connection),
        receipts=journal.read_receipts(connection),
        exchanges=journal.read_exchanges(connection),
        unacknowledged=outbox.read_unacknowledged(connection),
        waiting=waiting,
        splitting=summaries.are_refused(connection),
        oldest_waiting_ms=oldest_ms,
        timetable_days=dict(connection.execute("SELECT day, hours FROM timetable_day")),
        used_bytes=used_bytes(connection),
        spending=spending.read(connection),
        fittings=fittings.unpack(meta.get("fittings", "{}")),
    )
