"""A centre's inbox is damaged, or an older copy put in its place: agents find out, and send again what it has lost."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.inbox.file import FILE_NAME
from edge_agent.timing import Timing
from telemetry import ManualClock
from tests.cloud_sink.support import Running, running_centre
from tests.edge_agent.harness import MINUTE, SECOND, Bench
from tests.faults.campaign import Campaign, Outcome
from tests.faults.damages import DAMAGES, log_of
from tests.system.delivery import Delivery

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 20261125
LONGEST_START_S: Final = 10.0
TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=200, batch_every_s=60, report_every_s=3600)
COPIES: Final = {"early": 15, "late": 12, "last": 2}
_STORE: Final = "summaries.duckdb"
_CATALOGUE: Final = "catalogue.sqlite"


@dataclass(frozen=True, slots=True)
class Recording:
    """Copies of a centre's files and of its agent's, as a crash leaves them."""

    folder: Path
    now_ms: int
    lines: frozenset[str]
    """Every summary told until then."""

    def place(self, number: int, *, store: str, inbox: str) -> Path:
        """A folder with a centre of these copies, and its agent as it was at last."""
        place = self.folder / f"copy-{number}"
        state = place / "state"
        shutil.copytree(self.folder / "agent", place / "agent")
        state.mkdir()
        for path in (self.folder / inbox).glob(f"{FILE_NAME}*"):
            shutil.copy(path, state)
        shutil.copy(self.folder / store / _STORE, state)
        shutil.copy(self.folder / "last" / _CATALOGUE, state)
        return place


def recorded(folder: Path) -> Recording:
    """Half an hour in three parts, and copies of how each ended: the inbox as by a crash, the store as planned."""
    bench = Bench(folder / "agent-live", timing=TIMING)
    live, lines = folder / "live", set[str]()
    for copy, minutes in COPIES.items():
        live.mkdir(exist_ok=True)
        with running_centre(live, clock=bench.clock) as centre:
            delivery = Delivery(bench, centre)
            _live(bench, delivery, minutes)
            centre.settle()
            shutil.copytree(live / "state", folder / copy, ignore=shutil.ignore_patterns(_STORE, "*-shm"))
        shutil.copy(live / "state" / _STORE, folder / copy)
        lines |= delivery.lines
    bench.stop()
    shutil.copytree(bench.folder, folder / "agent")
    return Recording(folder, bench.clock.now(), frozenset(lines))


def run(count: int, folder: Path) -> Outcome:
    """Damage copies of one inbox, each in its own way; let a centre start on each, and its agent go on."""
    rng = random.Random(SEED)
    recording = recorded(folder)
    lost = doubled = aside = 0
    slowest = 0.0
    broken: list[str] = []
    for number in range(count):
        damage = _ALL[number % len(_ALL)]
        name = "an older copy" if damage is None else damage.__name__
        if damage is None:
            place = recording.place(number, store="last", inbox=["late", "early"][number // len(_ALL) % 2])
        else:
            place = recording.place(number, store=rng.choice(list(COPIES)), inbox=rng.choice(["late", "last"]))
        if damage is not None:
            damage(place / "state" / FILE_NAME, rng)
        bench = Bench(place / "agent", timing=TIMING, at_ms=recording.now_ms, seed=number)
        started = time.monotonic()
        with running_centre(place, clock=ManualClock(recording.now_ms + 30 * MINUTE)) as centre:
            slowest = max(slowest, time.monotonic() - started)
            found = _go_on(bench, centre, recording.lines)
            is_aside = any(".corrupt-" in each.name for each in (place / "state").iterdir())
            broken += [f"{name} {number}: {fault}" for fault in found.faults]
            if found.health != ("recovered" if is_aside else "ok"):
                broken.append(f"{name} {number}: its health is {found.health}")
        lost, doubled, aside = lost + found.lost, doubled + found.doubled, aside + is_aside
        bench.stop()
        shutil.rmtree(place)
    if slowest > LONGEST_START_S:
        broken.append(f"a start took {slowest:.1f} s")
    seen = f"{aside} inboxes moved aside; slowest start {slowest * 1000:.0f} ms"
    return Outcome(count, lost, doubled, seen, tuple(broken))


def gone(file: Path, _: random.Random) -> None:
    """Somebody has deleted it, and its log."""
    for each in (file, log_of(file)):
        each.unlink()


def all_gone(file: Path, _: random.Random) -> None:
    """The whole state folder is lost."""
    for each in file.parent.iterdir():
        each.unlink()


_ALL: Final = (*DAMAGES, gone, None, all_gone)
"""None: an older copy is put in its place."""


@dataclass(frozen=True, slots=True)
class _Found:
    lost: int
    doubled: int
    health: object
    faults: list[str]


def _go_on(bench: Bench, centre: Running, told: frozenset[str]) -> _Found:
    """Some minutes more; then the centre has every summary that was ever told, once."""
    delivery = Delivery(bench, centre)
    _live(bench, delivery, 5)
    delivery.finish()
    centre.settle()
    stored = centre.export().splitlines()
    expected = told | delivery.lines
    (balance, _) = centre.client.get("/api/v1/balance").json()
    faults = [f"{len(set(stored) - expected)} summaries that nobody told"] if set(stored) - expected else []
    faults += [] if bench.audit().closes else [f"the agent's balance: {bench.audit().faults}"]
    if balance["summaries_received"] != balance["summaries_stored"]:
        faults.append(f"{balance['summaries_received']} received, {balance['summaries_stored']} stored")
    doubled = len(stored) - len(set(stored)) + sum("revision=" in line for line in stored)
    return _Found(len(expected - set(stored)), doubled, centre.get("/api/v1/health")["status"], faults)


def _live(bench: Bench, delivery: Delivery, minutes: int) -> None:
    for minute in range(minutes):
        bench.read("air", ["carbon_dioxide", 500 + minute], ["temperature", 20 + minute % 3])
        bench.read("mast", ["temperature", 10 + minute % 3], ["wind_speed", minute % 4])
        for _ in range(0, MINUTE, 10 * SECOND):
            bench.until_closed(10 * SECOND)
            delivery.carry()


CAMPAIGNS: Final = [
    Campaign(
        name="inbox-damage",
        fault="the centre's inbox cut off, bit-flipped, zeroed, gone, its log gone or cut off, or an older copy",
        short=7,
        long=500,
        run=run,
    )
]
