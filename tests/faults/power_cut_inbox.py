"""The power is cut between any two writes: of a centre's inbox at work, and of one that is brought up to date."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from cloud_sink.inbox import KEPT_MS, Batch, Inbox, Kind, Receipt
from cloud_sink.inbox.file import FILE_NAME, close_file, open_file, set_aside
from telemetry import EnvironmentFault, ManualClock
from telemetry.uplink_contract import GENESIS, BatchId, Told, chain, link
from tests.faults.campaign import Campaign, Outcome
from tests.faults.vfs import PowerVFS, cut, registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.faults.vfs import Step

SEED: Final = 20261125
AGENTS: Final = ("edge-1", "edge-2", "edge-3")
EPOCH: Final = "00000000000000aa"
ROUNDS: Final = 11
EARLIER_INBOX: Final = Path(__file__).parent / "fixtures" / "inbox-1.sql"
_ALL: Final = 1 << 32
_TOGETHER: Final = 48
_GO_ON_EVERY: Final = 5


@dataclass(frozen=True, slots=True)
class Cuts:
    """What a number of cuts through one recording came to."""

    lost: int
    """Acknowledged batches that were gone, over all cuts."""
    acknowledged: int
    """Batches acknowledged before the cuts, over all of them."""
    broken: tuple[str, ...]
    """Every other thing that was not as it should be."""


class Recording:
    """An inbox at work; the diary says how many batches were acknowledged when, and of how many the bytes may go."""

    def __init__(self, vfs: PowerVFS) -> None:
        self.vfs = vfs
        self.acknowledged: list[Batch] = []
        self._clock = ManualClock(1_760_000_000_000)
        self._prunable = self._projected = 0

    def open(self, folder: Path) -> Inbox:
        """On the file system that keeps the diary."""
        return Inbox(folder, self._clock.now, projected=self._projected, vfs=self.vfs.name)

    async def take(self, inbox: Inbox, *batches: Batch) -> None:
        """Batches that arrive together."""
        await asyncio.gather(*(inbox.commit(each) for each in batches))
        self.note(*batches)

    async def prune(self, inbox: Inbox) -> None:
        """A day later every store has everything: the bytes may go."""
        self._clock.advance(KEPT_MS + 1)
        self.all_projected((await inbox.pending(0, _ALL))[-1].position)
        self.note()
        await inbox.prune(self._projected)

    def all_projected(self, position: int) -> None:
        """The bytes of what was acknowledged up to here, at most at this position, may go."""
        self._prunable, self._projected = len(self.acknowledged), position

    def note(self, *batches: Batch) -> None:
        """These are acknowledged."""
        self.acknowledged += batches
        self.vfs.mark(f"{len(self.acknowledged)} {self._prunable} {self._projected}")


def batch(agent: str, sequence: int, kind: Kind = Kind.SUMMARIES) -> Batch:
    """A batch of about two pages."""
    told = Told(sequence * 1000, sequence * 1000 + 1000) if kind is Kind.SUMMARIES else None
    return Batch(agent, BatchId(EPOCH, sequence), kind, f"{agent} {sequence} ".encode() * 700, 1 if told else 0, told)


def live(folder: Path, vfs: PowerVFS, synchronous: str = "FULL") -> list[Batch]:
    """Batches alone and together, ahead of their turn, refused and then good; days' ends, and SQLite's checkpoints."""

    async def work() -> None:
        inbox = recording.open(folder)
        inbox._connection.pragma("synchronous", synchronous)
        inbox._connection.pragma("wal_autocheckpoint", 25)
        for turn in range(ROUNDS):
            first = 4 * turn + 1
            await recording.take(inbox, *(batch(agent, first) for agent in AGENTS))
            await recording.take(inbox, batch("edge-1", first + 2))
            await recording.take(inbox, batch("edge-1", first + 1, Kind.REFUSED), batch("edge-2", first + 1))
            await recording.take(inbox, batch("edge-1", first + 1), batch("edge-3", first + 1, Kind.REFUSED))
            await recording.take(inbox, *(batch(agent, first + 2) for agent in AGENTS[1:]))
            await recording.take(inbox, *(batch(agent, first + 3, Kind.REPORT) for agent in AGENTS))
            if turn % 5 == 4:
                await recording.prune(inbox)
        await inbox.close()

    recording = Recording(vfs)
    folder.mkdir()
    asyncio.run(work())
    return recording.acknowledged


def bring_up_to_date(folder: Path, vfs: PowerVFS) -> list[Batch]:
    """A centre starts on the inbox of an earlier schema, and takes three batches more."""

    def earlier(agent: str, sequence: int, kind: Kind = Kind.SUMMARIES) -> Batch:
        return replace(batch(agent, sequence, kind), body=f"body {sequence}".encode())

    async def work() -> None:
        inbox = recording.open(folder)
        await recording.take(inbox, earlier("edge-1", 3))
        await recording.take(inbox, earlier("edge-1", 5), earlier("edge-2", 2))
        await inbox.close()

    recording = Recording(vfs)
    folder.mkdir()
    connection = apsw.Connection(str(folder / FILE_NAME), vfs=vfs.name)
    connection.pragma("journal_mode", "WAL")
    connection.execute(EARLIER_INBOX.read_text())
    connection.pragma("wal_checkpoint(TRUNCATE)")
    connection.close()
    report, refused = earlier("edge-1", 2, Kind.REPORT), earlier("edge-2", 1, Kind.REFUSED)
    recording.acknowledged.append(earlier("edge-1", 1))
    recording.all_projected(1)
    recording.note(report, refused, earlier("edge-1", 4))
    asyncio.run(work())
    return recording.acknowledged


def cuts(steps: Sequence[Step], sent: Sequence[Batch], folder: Path, count: int) -> Cuts:
    """Cut the power `count` times anywhere after the first mark; look at what is left, and go on with every fifth."""
    rng = random.Random(SEED)
    first = next(index for index, step in enumerate(steps) if step.kind == "mark") + 1
    lost = acknowledged = 0
    broken: list[str] = []
    for number in range(count):
        place = folder / f"cut-{number}"
        told = cut(steps, rng.randrange(first, len(steps) + 1), place, rng)[-1]
        taken, prunable, projected = map(int, told.split())
        acknowledged += taken
        try:
            gone, faults = examine(place, sent[:taken], sent[:prunable], projected)
            if number % _GO_ON_EVERY == 0 and not gone:
                faults += asyncio.run(_go_on(place, sent, projected))
        except EnvironmentFault as error:
            gone, faults = 0, [str(error)]
        lost += gone
        broken += [f"cut {number}: {fault}" for fault in faults]
        shutil.rmtree(place)
    return Cuts(lost, acknowledged, tuple(broken))


def examine(place: Path, taken: Iterable[Batch], prunable: Iterable[Batch], projected: int) -> tuple[int, list[str]]:
    """How many acknowledged batches are gone, and what else is not as it should be."""
    connection = open_file(place, projected)
    found = connection.pragma("integrity_check")
    faults = [] if found == "ok" else [f"integrity_check: {found}"]
    query = "SELECT agent, sequence, sha256, kind, bytes FROM mark LEFT JOIN body USING (position) ORDER BY sequence"
    rows = {(agent, sequence): row for agent, sequence, *row in connection.execute(query)}
    epochs = {
        agent: (applied, head) for agent, applied, head in connection.execute("SELECT agent, applied, head FROM epoch")
    }
    close_file(connection, is_sound=True)
    faults += [f"{name} was moved aside" for name in set_aside(place)]
    may_be_bare = {(each.agent, each.id.sequence) for each in prunable}
    bare = {key for key, (_, kind, body) in rows.items() if kind != Kind.REFUSED and body is None} - may_be_bare
    faults += [f"{agent} {sequence} has a mark and no bytes" for agent, sequence in bare]
    changed = [key for key, (digest, _, body) in rows.items() if body and hashlib.sha256(body).digest() != digest]
    faults += [f"{agent} {sequence} has other bytes than its mark says" for agent, sequence in changed]
    if epochs != _epochs({key: digest for key, (digest, *_) in rows.items()}):
        faults.append("an epoch stands at another place than its marks say")
    lost = 0
    for key, each in _last_of(taken).items():
        digest, kind, _ = rows.get(key, (b"", "", b""))
        is_there = digest == hashlib.sha256(each.body).digest() and (kind != Kind.REFUSED or each.kind is Kind.REFUSED)
        lost += not is_there or key in bare
    return lost, faults


def _epochs(digests: Mapping[tuple[str, int], bytes]) -> dict[str, tuple[int, bytes]]:
    """Where each agent stands, by its marks."""
    stands = {agent: (0, GENESIS) for agent, _ in digests}
    for (agent, sequence), digest in sorted(digests.items()):
        applied, head = stands[agent]
        if sequence == applied + 1:
            stands[agent] = sequence, link(head, digest)
    return stands


def _last_of(batches: Iterable[Batch]) -> dict[tuple[str, int], Batch]:
    """What was acknowledged last under each number."""
    return {(each.agent, each.id.sequence): each for each in batches}


async def _go_on(place: Path, sent: Sequence[Batch], projected: int) -> list[str]:
    """Every agent sends again what it ever sent: the inbox ends where it would have ended without the cut."""
    inbox = Inbox(place, lambda: 0, projected=projected)
    inbox._connection.pragma("synchronous", "OFF")
    answers: list[Receipt | BaseException] = []
    for start in range(0, len(sent), _TOGETHER):
        together = (inbox.commit(each) for each in sent[start : start + _TOGETHER])
        answers += await asyncio.gather(*together, return_exceptions=True)
    pending = [(stored.agent, stored.body) for stored in await inbox.pending(0, _ALL)]
    await inbox.close()
    faults = [f"sent again: {answer}" for answer in answers if not isinstance(answer, Receipt)]
    last = _last_of(sent).values()
    for agent in {each.agent for each in last}:
        head = GENESIS
        for each in sorted((each for each in last if each.agent == agent), key=lambda each: each.id.sequence):
            head = chain(head, each.body)
        ends = [each.head for each in answers if isinstance(each, Receipt)]
        faults += [] if head in ends else [f"{agent} does not end at its head"]
    faults += [] if len(pending) == len(set(pending)) else ["a batch stands in it twice"]
    return faults


def _campaign(record: Callable[[Path, PowerVFS], list[Batch]]) -> Callable[[int, Path], Outcome]:
    def run(count: int, folder: Path) -> Outcome:
        with registered(PowerVFS("power-inbox")) as vfs:
            sent = record(folder / "state", vfs)
            found = cuts(vfs.steps, sent, folder, count)
            syncs = sum(step.kind == "sync" for step in vfs.steps)
            seen = f"{found.acknowledged:,} batches acknowledged before the cuts; {len(vfs.steps):,} writes and syncs"
            assert syncs > 8, "a recording in which nothing is synced proves nothing"
        return Outcome(count, found.lost, 0, seen, found.broken)

    return run


CAMPAIGNS: Final = [
    Campaign(
        name="power-cut-inbox",
        fault="power cut between any two writes of the centre's inbox, checkpoints included",
        short=400,
        long=5_000,
        run=_campaign(live),
    ),
    Campaign(
        name="power-cut-inbox-migration",
        fault="power cut while an earlier inbox is brought up to date",
        short=100,
        long=1_000,
        run=_campaign(bring_up_to_date),
    ),
]
