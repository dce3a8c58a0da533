"""Whether an inbox is what was written: SQLite's own check, the hash chain of every epoch, the hash of every body.

The chain goes over all marks, so that it is their checksum: a changed mark ends at another head.
"""

from __future__ import annotations

import hashlib
import time
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import apsw

from cloud_sink.inbox.batches import Kind
from cloud_sink.inbox.schema import TALLIED
from telemetry.uplink_contract import GENESIS, link

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_S: Final = 4.0
"""After which an inbox counts as whole as far as it was looked at: agents wait."""
_KINDS: Final = ", ".join(f"'{kind}'" for kind in Kind)
_BARE: Final = "SELECT 1 FROM mark LEFT JOIN body USING (position) WHERE position > ? AND kind != ? AND bytes IS NULL"
_MISCOUNTED: Final = f"SELECT * FROM ({TALLIED}) EXCEPT SELECT * FROM tally"  # noqa: S608 - our own words
_FAULTS: Final = {
    f"SELECT 1 FROM mark WHERE kind NOT IN ({_KINDS})": "a mark of no kind",  # noqa: S608 - our own words
    "SELECT 1 FROM body LEFT JOIN mark USING (position) WHERE agent IS NULL": "bytes without a mark",
}


def check(connection: apsw.Connection, projected: int) -> None:
    """Raise `apsw.CorruptError` at the first thing that is not as it should be.

    `projected` is where the stores stand: what is behind it must be here with its bytes.
    """
    deadline = time.monotonic() + LONGEST_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        _check(connection, projected)
    except apsw.InterruptError:
        pass  # a large inbox is not looked through to its end
    except (ValueError, TypeError) as error:
        raise apsw.CorruptError(f"a value that was never written: {error}") from None
    finally:
        connection.set_progress_handler(None)


def _check(connection: apsw.Connection, projected: int) -> None:
    for query, values, fault in (
        (
            "SELECT 1 WHERE (SELECT coalesce(max(seq), 0) FROM sqlite_sequence) < ?",
            (projected,),
            "it lacks what stores have",
        ),
        *((query, (), fault) for query, fault in _FAULTS.items()),
        (_BARE, (projected, Kind.REFUSED.value), "a mark has lost its bytes"),
    ):
        if connection.execute(query, values).fetchone() is not None:
            raise apsw.CorruptError(fault)
    _check_epochs(connection)
    if connection.execute(_MISCOUNTED).fetchone() is not None:
        raise apsw.CorruptError("an agent's tally is another than its marks say")
    for digest, body in connection.execute("SELECT sha256, bytes FROM mark JOIN body USING (position)"):
        if hashlib.sha256(body).digest() != digest:
            raise apsw.CorruptError("the bytes of a batch have changed")
    if (found := connection.execute("PRAGMA integrity_check(1)").get) != "ok":
        raise apsw.CorruptError(str(found))


def _check_epochs(connection: apsw.Connection) -> None:
    marks = connection.execute("SELECT agent, epoch, sequence, sha256 FROM mark ORDER BY agent, epoch, sequence")
    stands = {(agent, epoch): stand for agent, epoch, *stand in connection.execute("SELECT * FROM epoch")}
    for key, (applied, head) in applied_of(marks).items():
        if stands.pop(key, [])[:2] != [applied, head]:
            raise apsw.CorruptError("an epoch stands at another place than its marks say")
    if stands:
        raise apsw.CorruptError("an epoch without marks")


def applied_of(marks: Iterable[tuple[str, str, int, bytes]]) -> dict[tuple[str, str], tuple[int, bytes]]:
    """Where each epoch stands by its marks, which come by agent, epoch and sequence."""
    stands = {}
    for key, rows in groupby(marks, key=itemgetter(0, 1)):
        applied, head = 0, GENESIS
        for _, _, sequence, digest in rows:
            if sequence != applied + 1:
                break
            applied, head = sequence, link(head, digest)
        stands[key] = applied, head
    return stands
