"""The power is cut between any two writes: of an agent's store at work, and of one that is brought up to date."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from edge_agent.store import Store
from edge_agent.store.engine import FILE_NAME
from edge_agent.timing import Timing
from tests.edge_agent.harness import MINUTE, Bench, delivered
from tests.faults.campaign import Campaign, Outcome
from tests.faults.spread import parts, spread
from tests.faults.vfs import Disk, PowerVFS, registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.faults.vfs import Step

SEED: Final = 20261122
TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=150, batch_every_s=120)
EARLIER_STORE: Final = Path(__file__).parent / "fixtures" / "store-2.sql"
EARLIER_READINGS: Final = 92
"""Received by the agent that left the earlier store."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """What a number of cuts through one recording came to."""

    lost: int
    """Cuts after which something acknowledged was gone."""
    acknowledged: int
    """Readings acknowledged before the cuts, over all of them."""
    broken: tuple[str, ...]
    """Every sentence of an audit that did not close."""

    @classmethod
    def together(cls, found: Iterable[Cuts]) -> Cuts:
        """What several made of it."""
        every = list(found)
        broken = tuple(sentence for each in every for sentence in each.broken)
        return cls(sum(each.lost for each in every), sum(each.acknowledged for each in every), broken)


def live(folder: Path, vfs: PowerVFS, synchronous: str = "FULL") -> None:
    """Twelve minutes of an agent: journal, closed windows, checkpoints, seals, marks, and SQLite's own checkpoints."""
    bench = Bench(folder, timing=TIMING, open_store=lambda path, epoch: Store(path, new_epoch=epoch, vfs=vfs.name))
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


def bring_up_to_date(folder: Path, vfs: PowerVFS) -> None:
    """An agent starts on the store of an earlier schema, and takes one more reading in."""
    folder.mkdir()
    earlier = apsw.Connection(str(folder / FILE_NAME), vfs=vfs.name)
    earlier.pragma("journal_mode", "WAL")
    earlier.execute(EARLIER_STORE.read_text())
    earlier.pragma("wal_checkpoint(TRUNCATE)")
    earlier.close()
    vfs.mark(f"{EARLIER_READINGS}")
    bench = Bench(folder, timing=TIMING, open_store=lambda path, epoch: Store(path, new_epoch=epoch, vfs=vfs.name))
    bench.read("mast", ["temperature", 20])
    vfs.mark(f"{EARLIER_READINGS + 1}")
    bench.stop()


def cuts(steps: Sequence[Step], folder: Path, numbers: range) -> Cuts:
    """Cut the power anywhere after the first mark, start an agent on what is left, and audit it; a cut a number."""
    first = next(index for index, step in enumerate(steps) if step.kind == "mark") + 1
    lost = acknowledged = 0
    broken: list[str] = []
    disk = Disk(steps)
    rngs = [(number, random.Random(SEED + number)) for number in numbers]
    for position, number, rng in sorted((rng.randrange(first, len(steps) + 1), number, rng) for number, rng in rngs):
        place = folder / f"cut-{number}"
        disk.go_on(position, rng)
        disk.cut(place, rng)
        bench = Bench(place)
        bench.stop()
        found = bench.audit()
        broken += [f"cut {number}: {fault}" for fault in found.faults]
        acknowledged += int(disk.marks[-1])
        lost += found.balance["received"] < int(disk.marks[-1])
        aside = [path.name for path in place.iterdir() if ".corrupt-" in path.name]
        broken += [f"cut {number}: {name}" for name in aside]
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    return Cuts(lost, acknowledged, tuple(broken))


def _cuts(place: tuple[Sequence[Step], Path, range]) -> Cuts:
    return cuts(*place)


def _campaign(record: Callable[[Path, PowerVFS], None]) -> Callable[[int, Path], Outcome]:
    def run(count: int, folder: Path) -> Outcome:
        with registered(PowerVFS("power")) as vfs:
            record(folder / "state", vfs)
            places = [(vfs.steps, folder, numbers) for numbers in parts(count)]
            found = Cuts.together(spread(_cuts, places, at_once=1))
            syncs = sum(step.kind == "sync" for step in vfs.steps)
            seen = f"{found.acknowledged:,} readings acknowledged before the cuts; {len(vfs.steps):,} writes and syncs"
            assert syncs > 8, "a recording in which nothing is synced proves nothing"
        return Outcome(count, found.lost, 0, seen, found.broken)

    return run


CAMPAIGNS: Final = [
    Campaign(
        name="power-cut",
        fault="power cut between any two writes of the agent's store, checkpoints included",
        short=2_000,
        long=15_000,
        run=_campaign(live),
    ),
    Campaign(
        name="power-cut-migration",
        fault="power cut while an earlier store is brought up to date",
        short=400,
        long=3_000,
        run=_campaign(bring_up_to_date),
    ),
]
