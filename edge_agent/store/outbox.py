"""The outbox: summaries that wait, and the batches sealed of them, which are the egress ledger."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edge_agent.counts import CountKey
from edge_agent.merging import merges
from edge_agent.store import summaries
from edge_agent.store.engine import row
from edge_agent.transactions import BatchKind, SealedBatch, Written
from telemetry import ContractViolation, Decoder, encode_all
from telemetry.uplink_contract import GENESIS, AgentReport, BatchId, chain, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from edge_agent.merging import MergeOrder
    from edge_agent.transactions import SealOrder, Span, Waiting

_log = logging.getLogger(__name__)

STATES: Final = frozenset({"sealed", "acknowledged", "refused", "forked"})
"""What the centre has said of a batch: nothing yet, that it has it, that it will not have it, or that it knows another
of its number."""
_decoder: Final = Decoder(remember=10_000)
"""Every batch tells of the same series: each is read once. Asked by the one thread that writes."""
_CHECKED_AT_ONCE: Final = 500
"""Lines that are decoded to be checked: what comes of them is many times their size."""
_SEALED: Final = "SELECT epoch, sequence, kind, body, head, summaries, sealed_ms, oldest_ms FROM batch"


def seal_batch(connection: apsw.Connection, order: SealOrder) -> Written:
    """Seal a report, or the summaries that wait, the newest first; nothing when none wait.

    Those of batches that the centre refused go by themselves, in ever smaller batches, until the one at fault is
    alone. One that a disk has changed is dropped, and counted; so is one that is not of the contract to the letter,
    whatever brought it here: nothing else is ever sealed. What is sealed is in the batch's bytes from here on, in the
    order of the text: neighbours look alike, which packs them into a third less, and who spoke first does not show.
    """
    if order.closes:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'ending'", (str(order.id.sequence),))
    if order.report:
        AgentReport.from_dict(json.loads(order.report))
        return Written(batch=_insert(connection, order, kind=BatchKind.REPORT, text=order.report, starts=[]))
    found = summaries.read_refused(connection) if order.split else summaries.read_newest(connection, order.most_lines)
    summaries.drop(connection, [each.number for each in found])
    summaries.forget_series(connection)
    intact = sorted((each for each in found if each.line), key=lambda each: each.line)
    whole = _of_contract(intact)
    lost = {"damaged": len(found) - len(intact), "refused": len(intact) - len(whole)}
    written = Written()
    if any(lost.values()):
        counts = {CountKey(stage): number for stage, number in lost.items() if number}
        count, oldest_ms = summaries.count(connection)
        written = Written(counts=counts, waiting=(count + len(whole), oldest_ms))
    if not whole:
        return written
    text = _text(whole)
    starts = [each.start_ms for each in whole]
    return replace(written, batch=_insert(connection, order, kind=BatchKind.SUMMARIES, text=text, starts=starts))


def _text(found: Iterable[Waiting]) -> bytes:
    return "".join(f"{each.line}\n" for each in found).encode()


def _of_contract(found: Sequence[Waiting]) -> list[Waiting]:
    """Those whose lines are what the codec itself would write of them."""
    kept: list[Waiting] = []
    for at in range(0, len(found), _CHECKED_AT_ONCE):
        some = found[at : at + _CHECKED_AT_ONCE]
        kept += some if _are_of_contract(some) else [each for each in some if _are_of_contract([each])]
    if len(kept) < len(found):
        _log.error("%d summaries are not of the contract: they are never sealed", len(found) - len(kept))
    return kept


def _are_of_contract(found: Sequence[Waiting]) -> bool:
    text = _text(found)
    try:
        told = _decoder.decode(text)
        return len(told) == len(found) and encode_all(told) == text
    except ContractViolation:
        return False


def mark_acknowledged(connection: apsw.Connection, batch: BatchId) -> None:
    """The centre has it: the bytes stay, for the ledger."""
    _set_state(connection, batch, "acknowledged")


def mark_refused(connection: apsw.Connection, batch: BatchId) -> None:
    """The centre will not have it: its summaries wait again in batches of half the size; one alone is given up."""
    _set_state(connection, batch, "refused")
    query = "SELECT summaries, body FROM batch WHERE epoch = ? AND sequence = ?"
    count, body = row(connection, query, (batch.epoch, batch.sequence))
    if count > 1:
        summaries.add(connection, summaries.from_lines(unseal(body)), most=(count + 1) // 2)


def recall(connection: apsw.Connection, batch: BatchId, head: bytes) -> SealedBatch | None:
    """A batch that the centre has lost, to be offered again.

    None where its bytes are gone or have changed, or where the centre's `head` before it is not ours: what is there is
    not our past.
    """
    place = batch.epoch, batch.sequence
    found = connection.execute(f"{_SEALED} WHERE epoch = ? AND sequence = ?", place).fetchone()
    if found is None or (head and head != _head_at(connection, batch.epoch, batch.sequence - 1)):
        return None
    sealed = _sealed(found)
    query = "SELECT state, body_sha256 FROM batch WHERE epoch = ? AND sequence = ?"
    state, digest = row(connection, query, place)
    if not _is_whole(sealed.body, digest):
        return None
    if state == "refused":  # its summaries went on in other batches
        connection.execute("UPDATE batch SET summaries = 0 WHERE epoch = ? AND sequence = ?", place)
        sealed = replace(sealed, summaries=0)
    _set_state(connection, batch, "sealed")
    return sealed


def begin_epoch(connection: apsw.Connection, epoch: str, told: Span | None) -> Written:
    """Number from 1 again under a new name; what was sealed and not acknowledged waits again.

    Windows that the other copy has told already are dropped, and counted.
    """
    open_batches = "SELECT body FROM batch WHERE state = 'sealed' AND kind = 'summaries' AND summaries > 0"
    for (body,) in list(connection.execute(open_batches)):
        summaries.add(connection, summaries.from_lines(unseal(body)))
    connection.execute("UPDATE batch SET state = 'forked' WHERE state = 'sealed'")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (epoch,))
    connection.execute("DELETE FROM meta WHERE name = 'ending'")
    dropped = 0
    if told is not None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('told_elsewhere_ms', ?)", (str(told.to_ms),))
        dropped = _drop_told(connection, told)
    return Written(counts={CountKey("fork"): dropped} if dropped else {}, waiting=summaries.count(connection))


def _drop_told(connection: apsw.Connection, told: Span) -> int:
    found = summaries.understood(summaries.read_between(connection, told.from_ms, told.to_ms))
    within = [each.number for each, summary in found if summary.end_ms <= told.to_ms]
    summaries.drop(connection, within)
    return len(within)


def merge(connection: apsw.Connection, order: MergeOrder) -> Written:
    """Put the oldest summaries that wait together over longer windows, wherever a group is whole.

    Each longer window once: what comes back later of its parts stays as it is.
    """
    oldest_sealed = row(connection, "SELECT min(oldest_ms) FROM batch WHERE body IS NOT NULL")[0]
    summaries.forget_merged(connection, oldest_sealed)
    gone = 0
    for each in merges(summaries.understood(summaries.read_oldest(connection, order.most)), order):
        if not summaries.note_merged(connection, each.merged):
            continue
        summaries.drop(connection, each.numbers)
        summaries.add(connection, [each.merged])
        gone += len(each.numbers) - 1
    return Written(counts={CountKey("merged"): gone} if gone else {}, waiting=summaries.count(connection))


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
        if not _is_whole(body, digest):
            raise ValueError("a batch that is not what was sealed")
    return [_sealed(found) for found in connection.execute(f"{_SEALED} WHERE state = 'sealed' ORDER BY id")]


def count_sealed(connection: apsw.Connection) -> int:
    """Summaries in batches that the centre has not yet spoken of."""
    return int(row(connection, "SELECT coalesce(sum(summaries), 0) FROM batch WHERE state = 'sealed'")[0])


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


def _is_whole(body: bytes | None, digest: bytes) -> bool:
    """Whether a batch has its bytes, and they are what was sealed."""
    return body is not None and hashlib.sha256(body).digest() == digest


def _set_state(connection: apsw.Connection, batch: BatchId, state: str) -> None:
    sql = "UPDATE batch SET state = ? WHERE epoch = ? AND sequence = ?"
    connection.execute(sql, (state, batch.epoch, batch.sequence))
