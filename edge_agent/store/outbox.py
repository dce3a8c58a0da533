"""The outbox: summaries that wait, and the batches sealed of them, which are the egress ledger."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edge_agent.counts import CountKey
from edge_agent.merging import Waiting, merges
from edge_agent.store.engine import row
from edge_agent.store.schema import sum_of
from edge_agent.transactions import BatchKind, SealedBatch, Written
from telemetry import decode_all, encode_series
from telemetry.uplink_contract import GENESIS, BatchId, chain, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from edge_agent.merging import MergeOrder
    from edge_agent.transactions import NewSummary, SealOrder, Span

_NEWEST_FIRST: Final = """
SELECT id, line, start_ms, sum FROM summary WHERE batch IS NULL AND most IS NULL ORDER BY start_ms DESC, id LIMIT ?
"""
_REFUSED: Final = """
SELECT id, line, start_ms, sum FROM summary WHERE batch IS NULL AND most = ? ORDER BY id LIMIT ?
"""
_OLDEST_FIRST: Final = """
SELECT id, line, sum FROM summary WHERE batch IS NULL AND most IS NULL AND series NOT LIKE '%,window=86400'
ORDER BY start_ms, id LIMIT ?
"""
_SEALED: Final = "SELECT epoch, sequence, kind, body, head, summaries, sealed_ms, oldest_ms FROM batch"


def add_summaries(connection: apsw.Connection, summaries: Sequence[NewSummary]) -> None:
    """Put summaries into the outbox; one that is there already is a mistake of the program and raises."""
    connection.executemany(
        "INSERT INTO summary (series, start_ms, line, sum) VALUES (?, ?, ?, ?)",
        [(summary.series, summary.start_ms, summary.line, sum_of(summary.line)) for summary in summaries],
    )


def seal_batch(connection: apsw.Connection, order: SealOrder) -> Written:
    """Seal a report, or the summaries that wait, the newest first; nothing when none wait.

    Summaries of batches that the centre refused go by themselves, in ever smaller batches, until the one at fault
    is alone. One that a disk has changed is dropped, and counted.
    """
    if order.closes:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'ending'", (str(order.id.sequence),))
    if order.report:
        return Written(batch=_insert(connection, order, kind=BatchKind.REPORT, text=order.report, starts=[]))
    if order.split:
        smallest = row(connection, "SELECT coalesce(min(most), 0) FROM summary WHERE batch IS NULL")[0]
        found = list(connection.execute(_REFUSED, (smallest, smallest)))
    else:
        found = list(connection.execute(_NEWEST_FIRST, (order.most_lines,)))
    rows = [each for each in found if sum_of(each[1]) == each[3]]
    damaged = _drop_damaged(connection, [each[0] for each in found if sum_of(each[1]) != each[3]])
    if not rows:
        return damaged
    text = "".join(f"{line}\n" for _, line, _, _ in rows).encode("ascii")
    starts = [start_ms for _, _, start_ms, _ in rows]
    batch = _insert(connection, order, kind=BatchKind.SUMMARIES, text=text, starts=starts)
    number = connection.last_insert_rowid()
    connection.executemany("UPDATE summary SET batch = ? WHERE id = ?", [(number, each[0]) for each in rows])
    return replace(damaged, batch=batch)


def _drop_damaged(connection: apsw.Connection, numbers: Sequence[int]) -> Written:
    if not numbers:
        return Written()
    connection.executemany("DELETE FROM summary WHERE id = ?", [(number,) for number in numbers])
    return Written(counts={CountKey("damaged"): len(numbers)}, waiting=count_waiting(connection))


def mark_acknowledged(connection: apsw.Connection, batch: BatchId) -> None:
    """The centre has it: the batch's bytes stay, its summaries need not."""
    number = _set_state(connection, batch, "acknowledged")
    connection.execute("DELETE FROM summary WHERE batch = ?", (number,))


def mark_refused(connection: apsw.Connection, batch: BatchId) -> None:
    """The centre will not have it: its summaries wait again in batches of half the size; one alone is given up."""
    number = _set_state(connection, batch, "refused")
    count = row(connection, "SELECT count(*) FROM summary WHERE batch = ?", (number,))[0]
    if count > 1:
        connection.execute("UPDATE summary SET batch = NULL, most = ? WHERE batch = ?", ((count + 1) // 2, number))
    else:
        connection.execute("DELETE FROM summary WHERE batch = ?", (number,))


def recall(connection: apsw.Connection, batch: BatchId, head: bytes) -> SealedBatch | None:
    """A batch that the centre has lost, to be offered again; its summaries are there again until it is acknowledged.

    None where its bytes are gone, or where the centre's `head` before it is not ours: what is there is not our past.
    """
    found = connection.execute(f"{_SEALED} WHERE epoch = ? AND sequence = ?", (batch.epoch, batch.sequence)).fetchone()
    if found is None or found[3] is None or (head and head != _head_at(connection, batch.epoch, batch.sequence - 1)):
        return None
    sealed = _sealed(found)
    query = "SELECT state FROM batch WHERE epoch = ? AND sequence = ?"
    was_refused = row(connection, query, (batch.epoch, batch.sequence))[0] == "refused"
    number = _set_state(connection, batch, "sealed")
    if was_refused:  # its summaries went on in other batches
        connection.execute("UPDATE batch SET summaries = 0 WHERE id = ?", (number,))
        return replace(sealed, summaries=0)
    if sealed.kind is BatchKind.SUMMARIES:
        fill_in(connection, number)
    return sealed


def fill_in(connection: apsw.Connection, number: int) -> None:
    """Let a batch's summaries stand in the outbox again, from its bytes; those that are there stay."""
    lines = unseal(row(connection, "SELECT body FROM batch WHERE id = ?", (number,))[0])
    each = zip(decode_all(lines), lines.decode("ascii").splitlines(), strict=True)
    connection.executemany(
        """INSERT INTO summary (series, start_ms, line, batch, sum) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (series, start_ms) DO UPDATE SET batch = excluded.batch""",
        [(encode_series(summary.series), summary.start_ms, line, number, sum_of(line)) for summary, line in each],
    )


def begin_epoch(connection: apsw.Connection, epoch: str, told: Span | None) -> Written:
    """Number from 1 again under a new name; what was sealed and not acknowledged waits again.

    Windows that the other copy has told already are dropped, and counted.
    """
    connection.execute("UPDATE batch SET state = 'forked' WHERE state = 'sealed'")
    connection.execute("UPDATE summary SET batch = NULL WHERE batch IS NOT NULL")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (epoch,))
    connection.execute("DELETE FROM meta WHERE name = 'ending'")
    dropped = 0
    if told is not None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('told_elsewhere_ms', ?)", (str(told.to_ms),))
        dropped = _drop_told(connection, told)
    return Written(counts={CountKey("fork"): dropped} if dropped else {}, waiting=count_waiting(connection))


def _drop_told(connection: apsw.Connection, told: Span) -> int:
    query = "SELECT id, line, sum FROM summary WHERE start_ms >= ? AND start_ms < ?"
    found = connection.execute(query, (told.from_ms, told.to_ms))
    rows = [(number, line) for number, line, checked in found if sum_of(line) == checked]
    ends = [summary.end_ms for summary in decode_all("".join(f"{line}\n" for _, line in rows).encode())]
    within = [(number,) for (number, _), end_ms in zip(rows, ends, strict=True) if end_ms <= told.to_ms]
    connection.executemany("DELETE FROM summary WHERE id = ?", within)
    return len(within)


def merge(connection: apsw.Connection, order: MergeOrder) -> Written:
    """Put the oldest summaries that wait together over longer windows, wherever a group is whole."""
    found = connection.execute(_OLDEST_FIRST, (order.most,))
    waiting = [Waiting(number, line) for number, line, checked in found if sum_of(line) == checked]
    gone = 0
    for each in merges(waiting, order):
        told = each.merged
        known = "SELECT EXISTS (SELECT 1 FROM summary WHERE series = ? AND start_ms = ?)"
        if row(connection, known, (told.series, told.start_ms))[0]:
            continue
        connection.executemany("DELETE FROM summary WHERE id = ?", [(number,) for number in each.numbers])
        add_summaries(connection, [told])
        gone += len(each.numbers) - 1
    return Written(counts={CountKey("merged"): gone} if gone else {}, waiting=count_waiting(connection))


def shorten(connection: apsw.Connection, number_of_bytes: int) -> None:
    """Of the oldest acknowledged batches keep the hashes alone, until so many bytes are free."""
    query = "SELECT id, length(body) FROM batch WHERE state = 'acknowledged' AND body IS NOT NULL ORDER BY id"
    for number, length in list(connection.execute(query)):
        if number_of_bytes <= 0:
            return
        connection.execute("UPDATE batch SET body = NULL WHERE id = ?", (number,))
        number_of_bytes -= length


def shorten_ledger(connection: apsw.Connection, before_ms: int) -> None:
    """Of batches acknowledged and sealed before then, keep the hashes alone."""
    connection.execute(
        "UPDATE batch SET body = NULL WHERE state = 'acknowledged' AND sealed_ms < ? AND body IS NOT NULL", (before_ms,)
    )


def read_unacknowledged(connection: apsw.Connection) -> list[SealedBatch]:
    """Batches that the centre has not yet spoken of. Raises ValueError for bytes that are not what was sealed."""
    for body, digest in connection.execute("SELECT body, body_sha256 FROM batch WHERE state = 'sealed'"):
        if body is None or hashlib.sha256(body).digest() != digest:
            raise ValueError("a batch that is not what was sealed")
    return [_sealed(found) for found in connection.execute(f"{_SEALED} WHERE state = 'sealed' ORDER BY id")]


def count_waiting(connection: apsw.Connection) -> tuple[int, int | None]:
    """Summaries that are not sealed, and the oldest start of them."""
    count, oldest_ms = row(connection, "SELECT count(*), min(start_ms) FROM summary WHERE batch IS NULL")
    return count, oldest_ms


def read_head(connection: apsw.Connection, epoch: str) -> tuple[int, bytes]:
    """The next number to give, and the chain's head before it."""
    last = connection.execute(
        "SELECT sequence, head FROM batch WHERE epoch = ? ORDER BY sequence DESC LIMIT 1", (epoch,)
    ).fetchone()
    return (last[0] + 1, last[1]) if last is not None else (1, GENESIS)


def _head_at(connection: apsw.Connection, epoch: str, sequence: int) -> bytes | None:
    query = "SELECT head FROM batch WHERE epoch = ? AND sequence = ?"
    found = connection.execute(query, (epoch, sequence)).fetchone()
    return found[0] if found is not None else (GENESIS if sequence == 0 else None)


def _sealed(found: tuple[Any, ...]) -> SealedBatch:
    epoch, sequence, kind, *rest = found
    return SealedBatch(BatchId(epoch, sequence), BatchKind(kind), *rest)


def _insert(
    connection: apsw.Connection, order: SealOrder, *, kind: BatchKind, text: bytes, starts: list[int]
) -> SealedBatch:
    body = seal(text)
    batch = SealedBatch(
        order.id, kind, body, chain(order.previous_head, body), len(starts), order.sealed_ms, min(starts, default=None)
    )
    connection.execute(
        "INSERT INTO batch VALUES (NULL, ?, ?, ?, 'sealed', ?, ?, ?, ?, ?, ?)",
        (
            batch.id.epoch,
            batch.id.sequence,
            kind.value,
            hashlib.sha256(body).digest(),
            batch.head,
            batch.summaries,
            batch.sealed_ms,
            batch.oldest_ms,
            body,
        ),
    )
    return batch


def _set_state(connection: apsw.Connection, batch: BatchId, state: str) -> int:
    """Returns the batch's number, by which its summaries know it."""
    sql = "UPDATE batch SET state = ? WHERE epoch = ? AND sequence = ? RETURNING id"
    return int(row(connection, sql, (state, batch.epoch, batch.sequence))[0])
