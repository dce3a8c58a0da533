"""Keeps what can be read of a damaged inbox.

A mark stays when its bytes are what it says, or are not needed any more; each epoch then stands at the last mark before
a gap. So an agent hears of its next batch that the centre has less of its ledger than it was told, and sends again from
there (design section 4, a restored centre).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import apsw

from cloud_sink.inbox.batches import Kind
from cloud_sink.inbox.checking import applied_of
from cloud_sink.inbox.schema import TALLIED
from cloud_sink.inbox.transaction import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_S: Final = 4.0
"""After which what was not read yet is for the agents to send again."""
_LAST: Final = (1 << 63) - 1
"""The highest position there can be."""
_DIGEST: Final = hashlib.sha256().digest_size
_COLUMNS: Final = "position, agent, epoch, sequence, kind, lines, sha256, received_ms"


class _Mark(NamedTuple):
    """A row as it was read; nothing is known of its values."""

    position: int
    agent: Any
    epoch: Any
    sequence: Any
    kind: Any
    lines: Any
    sha256: Any
    received_ms: Any
    from_ms: Any = None
    to_ms: Any = None

    @property
    def can_be_meant(self) -> bool:
        """Whether it names a batch."""
        is_batch = isinstance(self.sequence, int) and self.sequence > 0 and self.kind in tuple(Kind)
        is_epoch = isinstance(self.epoch, str) and re.fullmatch("[0-9a-f]{16}", self.epoch) is not None
        return is_batch and is_epoch and isinstance(self.sha256, bytes) and len(self.sha256) == _DIGEST


def salvage(damaged: Path, target: apsw.Connection, projected: int) -> int:
    """Copy what can be kept into an empty inbox; what it takes from then on goes behind `projected`. How many marks."""
    kept = 0
    with contextlib.closing(apsw.Connection(str(damaged))) as source, transaction(target):
        source.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for mark in _marks(source):
            body = _body(source, mark)
            if body is not None or mark.position <= projected or mark.kind == Kind.REFUSED:
                kept += _insert(target, mark, body)
        _stand(target)
        _begin_behind(target, projected)
    return kept


def _marks(source: apsw.Connection) -> Iterator[_Mark]:
    """Every mark that can be read and can be meant, by position."""
    with contextlib.suppress(apsw.Error):
        source.execute("PRAGMA query_only = ON")
    for row in _rows(source):
        mark = _Mark(*row)
        if mark.can_be_meant:
            yield mark


def _rows(source: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """Rows of the table of marks, read around what cannot be read; only as many as there is time for."""
    deadline = time.monotonic() + LONGEST_S
    start: int | None = 0
    columns = f"{_COLUMNS}, from_ms, to_ms"
    while start is not None and start <= _LAST and time.monotonic() <= deadline:
        query = f"SELECT {columns} FROM mark NOT INDEXED WHERE position >= ? ORDER BY position"  # noqa: S608 - our own words
        try:
            for row in source.execute(query, (start,)):
                if time.monotonic() > deadline:
                    return
                if row[0] < start:
                    raise apsw.CorruptError("the pages go round")
                start = row[0] + 1
                yield row
        except apsw.SQLError:
            if columns == _COLUMNS:
                return  # no table of marks can be found
            columns = _COLUMNS  # an inbox of version 1
        except (apsw.Error, UnicodeDecodeError):
            start = _behind(source, start)
        else:
            return


def _behind(source: apsw.Connection, start: int) -> int | None:
    """The position from which to go on where the first mark from `start` cannot be read; None where there is nothing.

    That one is passed over, where it can be found at least. Otherwise its page is lost: the next one begins between the
    last position from which nothing can be found and the first from which something can.
    """
    with contextlib.suppress(apsw.Error):
        found = _first(source, start)
        return None if found is None else found + 1
    low, high, step = start, start, 1
    while not _leads_on(source, high):
        if high == _LAST:
            return None
        low, high, step = high, min(high + step, _LAST), 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _leads_on(source, middle) else (middle, high)
    return _first(source, high)


def _leads_on(source: apsw.Connection, start: int) -> bool:
    try:
        _first(source, start)
    except apsw.Error:
        return False
    return True


def _first(source: apsw.Connection, start: int) -> int | None:
    """The first mark from a position on; None where there is none."""
    query = "SELECT position FROM mark NOT INDEXED WHERE position >= ? ORDER BY position LIMIT 1"
    found = source.execute(query, (start,)).fetchone()
    if found is not None and found[0] < start:
        raise apsw.CorruptError("the pages go round")
    return None if found is None else int(found[0])


def _body(source: apsw.Connection, mark: _Mark) -> bytes | None:
    """The mark's bytes, if they are what it says."""
    with contextlib.suppress(apsw.Error):
        for (body,) in source.execute("SELECT bytes FROM body WHERE position = ?", (mark.position,)):
            if isinstance(body, bytes) and hashlib.sha256(body).digest() == mark.sha256:
                return body
    return None


def _insert(target: apsw.Connection, mark: _Mark, body: bytes | None) -> int:
    """Add a mark with its bytes, unless a value in it cannot have been written; how many were added."""
    try:
        target.execute("INSERT INTO mark VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", mark)
    except (apsw.ConstraintError, apsw.MismatchError):
        return 0
    if body is not None:
        target.execute("INSERT INTO body VALUES (?, ?)", (mark.position, body))
    return 1


def _stand(target: apsw.Connection) -> None:
    """Let each epoch stand, and each agent's tally be, where the marks say."""
    marks = target.execute("SELECT agent, epoch, sequence, sha256 FROM mark ORDER BY agent, epoch, sequence")
    for (agent, epoch), (applied, head) in applied_of(list(marks)).items():
        query = "SELECT max(position) FROM mark WHERE agent = ? AND epoch = ?"
        touched = target.execute(query, (agent, epoch)).get
        target.execute("INSERT INTO epoch VALUES (?, ?, ?, ?, ?)", (agent, epoch, applied, head, touched))
    target.execute(f"INSERT INTO tally {TALLIED}")


def _begin_behind(target: apsw.Connection, projected: int) -> None:
    """No position is given twice, or a store would pass over what it took for its own."""
    target.execute("DELETE FROM sqlite_sequence WHERE name = 'mark' AND seq < ?", (projected,))
    if target.execute("SELECT count(*) FROM sqlite_sequence").get == 0:
        target.execute("INSERT INTO sqlite_sequence VALUES ('mark', ?)", (projected,))
