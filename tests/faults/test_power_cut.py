"""The power is cut between any two writes: what was acknowledged is there, and nothing is there in part."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.store import Store
from edge_agent.timing import Timing
from tests.edge_agent.harness import MINUTE, Bench, delivered
from tests.faults.vfs import PowerVFS, cut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CUTS: Final = 200
SEED: Final = 20261122
TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=150, batch_every_s=120)


@pytest.fixture
def vfs() -> Iterator[PowerVFS]:
    made = PowerVFS("power")
    yield made
    made.unregister()


def live(folder: Path, vfs: PowerVFS, synchronous: str) -> None:
    """Twelve minutes of an agent: journal, closed windows, checkpoints, seals, marks, and SQLite's own checkpoints."""
    bench = Bench(folder, timing=TIMING, open_store=lambda path, epoch: Store(path, new_epoch=epoch, vfs="power"))
    bench.store._connection.pragma("synchronous", synchronous)
    bench.store._connection.pragma("wal_autocheckpoint", 25)
    received = 0
    for minute in range(12):
        for second in range(3):
            rows = [["temperature", minute, str(channel)] for channel in range(second + 1)]
            bench.read("mast", *rows)
            received += len(rows)
            vfs.mark(f"{received}")
        bench.read("alarm", ["smoke", minute % 2])
        received += 1
        vfs.mark(f"{received}")
        bench.until_closed(MINUTE)
        if bench.sends and minute % 3:
            bench.answer(delivered)
    bench.stop()


def lost_after_cuts(folder: Path, vfs: PowerVFS, cuts: int) -> tuple[int, list[str]]:
    """Cuts after which something acknowledged was gone, and every sentence of an audit that did not close."""
    rng = random.Random(SEED)
    lost, faults = 0, []
    for number in range(cuts):
        place = folder / f"cut-{number}"
        marks = cut(vfs.steps, rng.randrange(1, len(vfs.steps)), place, rng)
        bench = Bench(place)
        bench.stop()
        found = bench.audit()
        faults += found.faults
        lost += found.balance["received"] < int(marks[-1]) if marks else 0
    return lost, faults


def test_nothing_acknowledged_is_lost(tmp_path: Path, vfs: PowerVFS) -> None:
    """200 cuts: 0 acknowledged readings lost, 0 transactions in part, every chain whole."""
    live(tmp_path / "state", vfs, "FULL")
    assert sum(step.kind == "sync" for step in vfs.steps) > 60
    assert lost_after_cuts(tmp_path, vfs, CUTS) == (0, [])


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_cuts_do_cut(tmp_path: Path, vfs: PowerVFS, synchronous: str) -> None:
    """The control: with commits that are not synced, the same cuts lose what was acknowledged."""
    live(tmp_path / "state", vfs, synchronous)
    lost, _ = lost_after_cuts(tmp_path, vfs, 30)
    assert lost > 5
