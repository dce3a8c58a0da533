"""Packet ids of QoS 2 on disk: taken over and given free in the transaction of the readings, over every restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.events import Arrived, Batch
from edge_agent.store.engine import row
from edge_agent.store.journal import read_exchanges
from tests.edge_agent.harness import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.stop()


def note(bench: Bench, session: str, *steps: int) -> None:
    """Steps that came without a frame, committed."""
    bench.play(Arrived([Batch((), bench.clock.now(), session=session, exchanges=steps)]))
    bench.settle()


def opened(bench: Bench) -> dict[str, list[int]]:
    """What a restart would find."""
    return {session: sorted(ids) for session, ids in read_exchanges(bench.store._connection).items()}


def test_steps_are_kept_in_order_from_the_journal_through_checkpoints(bench: Bench) -> None:
    """A checkpoint and a restart change nothing; what is given free leaves no row behind."""
    note(bench, "a", 1, 2, 3)
    note(bench, "a", -2)
    note(bench, "b", 2)
    expected = {"a": [1, 3], "b": [2]}
    assert opened(bench) == expected
    bench.restart()
    assert opened(bench) == expected
    bench.checkpoint()
    assert opened(bench) == expected
    note(bench, "a", -1, 1, 4, -4)
    note(bench, "b", -2)
    bench.restart()
    assert opened(bench) == {"a": [1, 3]}
    bench.checkpoint()
    assert opened(bench) == {"a": [1, 3]}
    assert row(bench.store._connection, "SELECT count(*) FROM exchange") == (2,)
