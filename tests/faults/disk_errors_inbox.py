"""One operation of the disk fails under a centre's inbox at work; it ends or waits, comes back, and the power goes."""

from __future__ import annotations

import asyncio
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cloud_sink.inbox import InboxFault
from telemetry import EnvironmentFault
from tests.faults.campaign import Campaign, Outcome
from tests.faults.failing_disk import FAULTS, FailingDisk
from tests.faults.power_cut_inbox import AGENTS, Recording, batch, examine
from tests.faults.vfs import cut, registered

if TYPE_CHECKING:
    from pathlib import Path

    from cloud_sink.inbox import Batch, Inbox

SEED: Final = 20261126
ROUNDS: Final = 9
CUTS: Final = 3
"""Power cuts after each life."""
_MOST_TRIES: Final = 20


class Life:
    """A centre's inbox on a disk that fails it, and agents that send each batch until it is acknowledged."""

    def __init__(self, folder: Path, disk: FailingDisk) -> None:
        self.folder, self.disk = folder, disk
        self.recording = Recording(disk)
        self.ends = self.waits = 0
        """How often the centre had to end, and how often it could go on by itself."""
        self._inbox: Inbox | None = None

    async def live(self) -> None:
        """Rounds of a batch of each agent; now and then a day's end, or a planned end of the centre."""
        for turn in range(1, ROUNDS + 1):
            for agent in AGENTS:
                await self._deliver(batch(agent, turn))
            if turn == ROUNDS // 2:
                await self._prune()
            if turn % 3 == 0 and self._inbox is not None:
                await self._inbox.close()
                self._inbox = None
        if self._inbox is not None:
            await self._inbox.close()

    async def _deliver(self, sent: Batch) -> None:
        for _ in range(_MOST_TRIES):
            if (inbox := await self._open()) is None:
                continue
            try:
                await self.recording.take(inbox, sent)
            except InboxFault:
                await self._after_fault(inbox)
            else:
                return
        raise AssertionError(f"{sent.id} of {sent.agent} is never taken")

    async def _prune(self) -> None:
        if (inbox := await self._open()) is not None:
            try:
                await self.recording.prune(inbox)
            except InboxFault:
                await self._after_fault(inbox)

    async def _open(self) -> Inbox | None:
        """The inbox, opened where it is not; None where the disk does not let it, and is well again after that."""
        if self._inbox is None:
            try:
                self._inbox = self.recording.open(self.folder)
            except EnvironmentFault:
                self.ends += 1
                self.disk.mend()
        return self._inbox

    async def _after_fault(self, inbox: Inbox) -> None:
        """A centre whose inbox is broken ends, and is started again; one whose disk was full goes on."""
        if inbox.broken is None:
            self.waits += 1
            return
        self.ends += 1
        await inbox.close()
        self._inbox = None
        self.disk.mend()


def run(count: int, folder: Path) -> Outcome:
    """Let operations of each kind fail, of those that a life without a fault asks for, each in a life of its own."""
    rng = random.Random(SEED)
    (folder / "whole").mkdir()
    with registered(FailingDisk("whole-inbox")) as disk:
        asyncio.run(Life(folder / "whole", disk).live())
        asked = disk.operations
    found = _Found()
    for number in range(count):
        fault = list(FAULTS)[number % len(FAULTS)]
        operation = rng.randint(1, asked[FAULTS[fault][0]])
        place = folder / f"life-{number}"
        (place / "state").mkdir(parents=True)
        with registered(FailingDisk(f"inbox-{number}")) as disk:
            disk.befall(fault, operation, is_lasting=rng.random() < 0.5)
            life = Life(place / "state", disk)
            asyncio.run(life.live())
            found.look(f"{fault} {operation}", life, place, rng)
        shutil.rmtree(place)
    seen = (
        f"{found.hits:,} operations failed, of {sum(asked.values()):,}; {found.ends:,} times the centre had to end, "
        f"{found.waits:,} times it went on; {found.cuts:,} power cuts afterwards"
    )
    return Outcome(count, found.lost, 0, seen, tuple(found.broken))


@dataclass(slots=True)
class _Found:
    """What the lives came to."""

    lost: int = 0
    hits: int = 0
    ends: int = 0
    waits: int = 0
    cuts: int = 0
    broken: list[str] = field(default_factory=list)

    def look(self, name: str, life: Life, place: Path, rng: random.Random) -> None:
        """Examine the inbox as it ended, and as a power cut at some time after the fault would leave it."""
        self.hits += life.disk.hits
        self.ends += life.ends
        self.waits += life.waits
        steps = life.disk.steps
        self._examine(name, life, life.folder, _last_mark(life))
        fault = next((at for at, step in enumerate(steps) if step.kind == "failed sync"), len(steps) // 2)
        first = max(fault, next(at for at, step in enumerate(steps) if step.kind == "mark") + 1)
        for _ in range(CUTS):
            copy, position = place / f"cut-{self.cuts}", rng.randrange(first, len(steps) + 1)
            self._examine(f"{name}, cut at {position}", life, copy, cut(steps, position, copy, rng)[-1])
            self.cuts += 1

    def _examine(self, name: str, life: Life, folder: Path, mark: str) -> None:
        taken, prunable, projected = map(int, mark.split())
        sent = life.recording.acknowledged
        lost, faults = examine(folder, sent[:taken], sent[:prunable], projected)
        self.lost += lost
        self.broken += [f"{name}: {fault}" for fault in faults]


def _last_mark(life: Life) -> str:
    return next(step.file for step in reversed(life.disk.steps) if step.kind == "mark")


CAMPAIGNS: Final = [
    Campaign(
        name="inbox-disk-errors",
        fault="one operation of the inbox's disk fails (EIO, ENOSPC, short write, failed fsync), then the power",
        short=16,
        long=2_000,
        run=run,
    )
]
