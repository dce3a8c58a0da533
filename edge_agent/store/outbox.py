"""The outbox: summaries that wait, and the batches sealed of them, which are the egress ledger."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from edge_agent.store.engine import row
from edge_agent.transactions import BatchKind, SealedBatch
from telemetry.uplink_contract import GENESIS, chain, seal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from edge_agent.transactions import NewSummary, SealOrder

_NEWEST_FIRST: Final = """
SELECT id, line, start_ms FROM summary WHERE batch IS NULL AND most IS NULL ORDER BY start_ms DESC, id LIMIT ?
"""
_REFUSED: Final = """
SELECT id, line, start_ms FROM summary WHERE batch IS NULL AND most = ? ORDER BY id LIMIT ?
"""


def add_summaries(connection: apsw.Connection, summaries: Sequence[NewSummary]) -> None:
    """Put summaries into the outbox; one that is there already is a mistake of the program and raises."""
    connection.executemany(
        "INSERT INTO summary (series, start_ms, line) VALUES (?, ?, ?)",
        [(summary.series, summary.start_ms, summary.line) for summary in summaries],
    )


def seal_batch(connection: apsw.Connection, epoch: str, order: SealOrder) -> SealedBatch | None:
    """Seal a report, or the summaries that wait, the newest first; None when none wait.

    Summaries of batches that the centre refused go by themselves, in ever smaller batches, until the one at fault
    is alone.
    """
    if order.report:
        return _insert(connection, epoch, order, kind=BatchKind.REPORT, text=order.report, starts=[])
    if order.split:
        smallest = row(connection, "SELECT coalesce(min(most), 0) FROM summary WHERE batch IS NULL")[0]
        rows = list(connection.execute(_REFUSED, (smallest, smallest)))
    else:
        rows = list(connection.execute(_NEWEST_FIRST, (order.most_lines,)))
    if not rows:
        return None
    text = "".join(f"{line}\n" for _, line, _ in rows).encode("ascii")
    starts = [start_ms for _, _, start_ms in rows]
    batch = _insert(connection, epoch, order, kind=BatchKind.SUMMARIES, text=text, starts=starts)
    number = connection.last_insert_rowid()
    connection.executemany("UPDATE summary SET batch = ? WHERE id = ?", [(number, identity) for identity, _, _ in rows])
    return batch


def mark_acknowledged(connection: apsw.Connection, epoch: str, sequence: int) -> None:
    """The centre has it: the batch's bytes stay, its summaries need not."""
    number = _set_state(connection, epoch, sequence, "acknowledged")
    connection.execute("DELETE FROM summary WHERE batch = ?", (number,))


def mark_refused(connection: apsw.Connection, epoch: str, sequence: int) -> None:
    """The centre will not have it: its summaries wait again in batches of half the size; one alone is given up."""
    number = _set_state(connection, epoch, sequence, "refused")
    count = row(connection, "SELECT count(*) FROM summary WHERE batch = ?", (number,))[0]
    if count > 1:
        connection.execute("UPDATE summary SET batch = NULL, most = ? WHERE batch = ?", ((count + 1) // 2, number))
    else:
        connection.execute("DELETE FROM summary WHERE batch = ?", (number,))


def begin_epoch(connection: apsw.Connection, epoch: str) -> None:
    """Number from 1 again under a new name; what was sealed and not acknowledged waits again."""
    connection.execute("UPDATE batch SET state = 'forked' WHERE state = 'sealed'")
    connection.execute("UPDATE summary SET batch = NULL WHERE batch IS NOT NULL")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (epoch,))


def shorten_ledger(connection: apsw.Connection, before_ms: int) -> None:
    """Of batches acknowledged and sealed before then, keep the hashes alone."""
    connection.execute(
        "UPDATE batch SET body = NULL WHERE state = 'acknowledged' AND sealed_ms < ? AND body IS NOT NULL", (before_ms,)
    )


def read_unacknowledged(connection: apsw.Connection, epoch: str) -> list[SealedBatch]:
    """Batches that the centre has not yet spoken of."""
    rows = connection.execute(
        "SELECT sequence, kind, body, head, summaries, sealed_ms, oldest_ms FROM batch "
        "WHERE epoch = ? AND state = 'sealed' ORDER BY sequence",
        (epoch,),
    )
    return [
        SealedBatch(sequence, BatchKind(kind), body, head, count, sealed_ms, oldest_ms)
        for sequence, kind, body, head, count, sealed_ms, oldest_ms in rows
    ]


def read_head(connection: apsw.Connection, epoch: str) -> tuple[int, bytes]:
    """The next number to give, and the chain's head before it."""
    last = connection.execute(
        "SELECT sequence, head FROM batch WHERE epoch = ? ORDER BY sequence DESC LIMIT 1", (epoch,)
    ).fetchone()
    return (last[0] + 1, last[1]) if last is not None else (1, GENESIS)


def _insert(
    connection: apsw.Connection, epoch: str, order: SealOrder, *, kind: BatchKind, text: bytes, starts: list[int]
) -> SealedBatch:
    body = seal(text)
    head = chain(order.previous_head, body)
    oldest_ms = min(starts, default=None)
    connection.execute(
        "INSERT INTO batch VALUES (NULL, ?, ?, ?, 'sealed', ?, ?, ?, ?, ?, ?)",
        (
            epoch,
            order.sequence,
            kind.value,
            body,
            hashlib.sha256(body).digest(),
            head,
            len(starts),
            order.sealed_ms,
            oldest_ms,
        ),
    )
    return SealedBatch(order.sequence, kind, body, head, len(starts), order.sealed_ms, oldest_ms)


def _set_state(connection: apsw.Connection, epoch: str, sequence: int, state: str) -> int:
    """Returns the batch's number, by which its summaries know it."""
    sql = "UPDATE batch SET state = ? WHERE epoch = ? AND sequence = ? RETURNING id"
    return int(row(connection, sql, (state, epoch, sequence))[0])
