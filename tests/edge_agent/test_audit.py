"""The audit finds what does not hold: each kind of loss or change, in a sentence."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import pytest

from tests.edge_agent.harness import MINUTE, Bench, delivered

if TYPE_CHECKING:
    from pathlib import Path

_TAMPERINGS: Final = {
    "a flipped bit": (
        "UPDATE batch SET body = CAST(substr(body, 1, 40) || x'ff' || substr(body, 42) AS BLOB) WHERE sequence = 2",
        "the bytes of batch",
    ),
    "other bytes with their hash": (
        f"UPDATE batch SET body = x'00', body_sha256 = x'{hashlib.sha256(bytes(1)).hexdigest()}' WHERE sequence = 1",
        "does not follow the one before it",
    ),
    "a missing batch": ("DELETE FROM batch WHERE sequence = 2", "-2 is missing"),
    "the last batch missing": (
        "DELETE FROM batch WHERE sequence = (SELECT max(sequence) FROM batch WHERE state = 'acknowledged')",
        "summaries",
    ),
    "a deleted summary": ("DELETE FROM summary WHERE id = (SELECT max(id) FROM summary)", "summaries"),
    "a counter off by one": ("UPDATE counter SET value = value + 1 WHERE stage = 'admitted'", "admitted"),
    "a reading gone": ("DELETE FROM journal; DELETE FROM checkpoint", "admitted"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with three batches acknowledged, one waiting, and windows open."""
    bench = Bench(tmp_path)
    for minute in range(12):
        bench.read("mast", ["temperature", minute])
        bench.read("air", ["carbon_dioxide", 600])
        bench.until_closed(MINUTE)
        if bench.sends and bench.core.state.next_sequence < 5:
            bench.answer(delivered)
    assert bench.core.state.unacknowledged
    bench.stop()
    return tmp_path


def test_a_whole_store_closes(folder: Path) -> None:
    """Untouched, the balance closes and the chain is whole."""
    bench = Bench(folder)
    bench.stop()
    found = bench.audit()
    assert found.faults == []
    assert found.closes


@pytest.mark.parametrize("kind", _TAMPERINGS)
def test_a_change_is_found(folder: Path, kind: str) -> None:
    """One change in the file, and the audit no longer closes and says where."""
    statement, sentence = _TAMPERINGS[kind]
    bench = Bench(folder)
    bench.store._connection.execute(statement)
    assert bench.store._connection.changes()
    bench.stop()
    found = bench.audit()
    assert any(sentence in fault for fault in found.faults), found.faults
    assert not found.closes
