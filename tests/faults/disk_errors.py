"""One operation of the disk fails, under an agent at work; the agent ends or waits, comes back, and the power goes."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import apsw

from edge_agent.events import Undelivered
from edge_agent.store import Store
from edge_agent.store.engine import StoreUnusable
from edge_agent.timing import Timing
from tests.edge_agent.harness import MINUTE, Bench, frame
from tests.faults.campaign import Campaign, Outcome
from tests.faults.failing_disk import FAULTS, FailingDisk
from tests.faults.model_centre import ModelCentre
from tests.faults.vfs import cut, registered

if TYPE_CHECKING:
    from pathlib import Path

    from device_drivers.contract import Frame

SEED: Final = 20261126
TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=150, batch_every_s=120)
MINUTES: Final = 8
SESSION: Final = "devices"
CUTS: Final = 3
"""Power cuts after each life."""


@dataclass(slots=True)
class Devices:
    """What they sent, and what of it they keep for want of a word."""

    sent: int = 0
    kept: dict[int, Frame] = field(default_factory=dict)

    def send(self, bench: Bench, *rows: list[object]) -> None:
        """One message of such rows."""
        self.sent += 1
        self.kept[self.sent] = frame(*rows)
        bench.arrive("mast", self.kept[self.sent], session=SESSION, packet_id=self.sent, token=self.sent)
        self.settle(bench)

    def send_again(self, bench: Bench) -> None:
        """All that nobody has answered."""
        for number, each in self.kept.items():
            bench.arrive("mast", each, session=SESSION, packet_id=number, duplicate=True, token=number)
        self.settle(bench)

    def settle(self, bench: Bench) -> None:
        """Wait for the words, and forget what they are for."""
        bench.settle()
        self.hear(bench)

    def hear(self, bench: Bench) -> None:
        """Forget what was acknowledged."""
        for token in bench.acknowledged:
            self.kept.pop(token, None)  # type: ignore[call-overload]  # tokens here are the numbers of messages
        bench.acknowledged.clear()


class Life:
    """An agent on a disk that fails it once, its devices, and its centre."""

    def __init__(self, folder: Path, disk: FailingDisk, rng: random.Random) -> None:
        self.disk, self.rng = disk, rng
        self.devices, self.centre = Devices(), ModelCentre()
        self.ends = 0
        """How often the agent had to end."""
        self.bench = self._begin(folder)

    def live(self) -> None:
        """Each minute some messages, a centre that is there two times in three, and now and then a planned stop."""
        for minute in range(MINUTES):
            try:
                self._live_a_minute(minute)
            except apsw.Error:
                self.bench.stop()
                self._begin_again()
            except StoreUnusable:
                self._begin_again()
        self.devices.send_again(self.bench)
        self.bench.stop()

    def _live_a_minute(self, minute: int) -> None:
        bench = self.bench
        self.devices.send_again(bench)
        for channel in range(3):
            self.devices.send(bench, ["temperature", minute, f"{channel}"])
            self.disk.mark(f"{self.devices.sent - len(self.devices.kept)}")
        bench.until_closed(MINUTE)
        if bench.sends:
            send = bench.sends.pop(0)
            answer = self.centre.take(send)
            bench.play(answer if self.rng.random() < 0.66 else Undelivered(send.batch, "the answer got lost"))
            bench.settle()
        if minute % 3 == 2:
            bench.checkpoint()
            bench.restart()

    def _begin_again(self) -> None:
        """As a service that is started again, the disk being well again."""
        self.ends += 1
        self.devices.hear(self.bench)
        self.disk.mend()
        self.bench.start()

    def _begin(self, folder: Path) -> Bench:
        def made() -> Bench:
            return Bench(
                folder, timing=TIMING, open_store=lambda path, epoch: Store(path, new_epoch=epoch, vfs=self.disk.name)
            )

        try:
            return made()
        except StoreUnusable:
            self.ends += 1
            self.disk.mend()
            return made()


def run(count: int, folder: Path) -> Outcome:
    """Let operations fail, of those that a life without a fault asks for, each in a life of its own."""
    rng = random.Random(SEED)
    with registered(FailingDisk("whole")) as disk:
        Life(folder / "whole", disk, random.Random(SEED)).live()
        asked = dict(disk.operations)
    places = [(fault, number + 1) for fault, (kind, _) in FAULTS.items() for number in range(asked.get(kind, 0))]
    rng.shuffle(places)
    found = _Found()
    for number in range(count):
        fault, operation = places[number % len(places)]
        place = folder / f"life-{number}"
        place.mkdir()
        with registered(FailingDisk(f"disk-{number}")) as disk:
            disk.befall(fault, operation, is_lasting=rng.random() < 0.5)
            life = Life(place / "state", disk, random.Random(SEED))
            life.live()
            found.look(f"{fault} {operation}", life, place, rng)
        shutil.rmtree(place)
    seen = (
        f"{found.hits:,} operations failed, in {len(places):,} places; {found.ends:,} times the agent had to end; "
        f"{found.cuts:,} power cuts afterwards"
    )
    return Outcome(count, found.lost, found.doubled, seen, tuple(found.broken))


@dataclass(slots=True)
class _Found:
    """What the lives came to."""

    lost: int = 0
    doubled: int = 0
    hits: int = 0
    ends: int = 0
    cuts: int = 0
    broken: list[str] = field(default_factory=list)

    def look(self, name: str, life: Life, place: Path, rng: random.Random) -> None:
        """Audit the agent as it ended, and as it would come back from a power cut at some time after the fault."""
        audit = life.bench.audit()
        once = audit.balance["received"] - audit.balance["duplicate"]
        self.lost += max(0, life.devices.sent - once)
        if life.devices.sent > once:
            print("LIFE", name)
        self.doubled += max(0, once - life.devices.sent) + len(life.centre.doubled)
        self.hits += life.disk.hits
        self.ends += life.ends
        self.broken += [f"{name}: {fault}" for fault in [*audit.faults, *life.centre.changed]]
        self._is_whole(name, life.bench.folder)
        steps = life.disk.steps
        first = next((at for at, step in enumerate(steps) if step.kind == "failed sync"), len(steps) // 2)
        first = max(first, next(at for at, step in enumerate(steps) if step.kind == "mark") + 1)
        for _ in range(CUTS):
            self._cut(name, life, rng.randrange(first, len(steps) + 1), place / f"cut-{self.cuts}", rng)
            self.cuts += 1

    def _cut(self, name: str, life: Life, position: int, place: Path, rng: random.Random) -> None:
        marks = cut(life.disk.steps, position, place, rng)
        bench = Bench(place)
        bench.stop()
        audit = bench.audit()
        gone = max(0, int(marks[-1]) - (audit.balance["received"] - audit.balance["duplicate"]))
        if gone:
            print("CUT", name, position, len(life.disk.steps), marks[-1], gone)
        self.lost += gone
        self.broken += [f"{name}, cut at {position}: {fault}" for fault in audit.faults]
        self._is_whole(f"{name}, cut at {position}", place)

    def _is_whole(self, name: str, folder: Path) -> None:
        self.broken += [f"{name}: {path.name}" for path in folder.iterdir() if ".corrupt-" in path.name]


CAMPAIGNS: Final = [
    Campaign(
        name="disk-errors",
        fault="one operation of the agent's disk fails (EIO, ENOSPC, short write, failed fsync), then the power",
        short=60,
        long=3_000,
        run=run,
    ),
]
