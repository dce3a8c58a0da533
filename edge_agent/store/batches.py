"""The egress ledger of a store, and what the privacy ledger spent: read beside a running agent or without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import apsw

from edge_agent.privacy.egress import Entry, Spent
from edge_agent.store import engine
from edge_agent.store.audit import broken_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STATE: Final = "CASE state WHEN 'sealed' THEN 'waiting' ELSE state END"
_READ: Final = f"""
SELECT kind, {_STATE}, summaries, sealed_ms, length(body), {{body}} FROM batch
WHERE sealed_ms >= ? AND sealed_ms < ? ORDER BY id
"""  # noqa: S608 - our own words
_CHARGES: Final = "SELECT privacy_ms, rho_nano, sigma_milli FROM spend WHERE start_ms >= ? AND start_ms < ? ORDER BY id"
_HEADS: Final = """
SELECT epoch, max(sequence), head, count(*), sum(body IS NULL) FROM batch GROUP BY epoch ORDER BY min(id)
"""
"""Beside `max`, SQLite takes the other columns from the row that has it."""


def read(folder: Path, from_ms: int, to_ms: int, *, with_bodies: bool = True) -> Iterator[Entry]:
    """Batches sealed in [from, to), in the order of sealing, in one snapshot. Raises `StoreUnusable`."""
    query = _READ.format(body="body" if with_bodies else "NULL")
    with engine.reading(folder) as connection:
        for found in connection.execute(query, (from_ms, to_ms)):
            yield Entry(*found)


_RECENT: Final = 60
_FULLEST: Final = f"""
SELECT sealed_ms, body FROM (
    SELECT id, summaries, sealed_ms, body FROM batch
    WHERE state = 'acknowledged' AND kind = 'summaries' AND body NOT NULL AND sealed_ms >= ? AND sealed_ms < ?
    ORDER BY id DESC LIMIT {_RECENT}
) ORDER BY summaries DESC, id DESC LIMIT 1
"""  # noqa: S608 - our own number


def fullest(folder: Path, from_ms: int, to_ms: int) -> tuple[int, bytes] | None:
    """Of the last hour's worth of batches sealed in [from, to) that the centre has, the one with the most summaries:
    when it was sealed, and its bytes. Raises `StoreUnusable`."""
    with engine.reading(folder) as connection:
        found = connection.execute(_FULLEST, (from_ms, to_ms)).fetchone()
    return None if found is None else (int(found[0]), bytes(found[1]))


def spent(folder: Path, from_ms: int, to_ms: int) -> Spent | None:
    """What the slots that began in [from, to) cost; None where none was told. Raises `StoreUnusable`."""
    with engine.reading(folder) as connection:
        return Spent.of(list(connection.execute(_CHARGES, (from_ms, to_ms))))


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain of one epoch stands."""

    epoch: str
    sequence: int
    head: str
    """In hexadecimal; the centre says the same of what it has."""
    batches: int
    only_hash: int
    """Of these, batches whose bytes are gone: their hash alone is linked."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole ledger came to."""

    heads: list[Head]
    faults: list[str]


def verify(folder: Path) -> Verified:
    """Whether every byte is as it was sealed and every batch follows the one before. Raises `StoreUnusable`."""
    with engine.reading(folder) as connection:
        try:
            heads = [
                Head(epoch, sequence, head.hex(), batches, only_hash)
                for epoch, sequence, head, batches, only_hash in connection.execute(_HEADS)
            ]
            return Verified(heads, broken_links(connection))
        except (apsw.CorruptError, apsw.IOError) as error:
            return Verified([], [f"the file itself cannot be read to its end: {type(error).__name__}"])
