"""The store's files are damaged while nobody looks: cut off, flipped, zeroed, without their log, or an older copy."""

from __future__ import annotations

import random
import re
import shutil
import time
from typing import TYPE_CHECKING, Final

from edge_agent.events import Undelivered
from edge_agent.store.engine import FILE_NAME
from edge_agent.timing import Timing
from tests.edge_agent.harness import MINUTE, SECOND, Bench
from tests.faults.campaign import Campaign, Outcome
from tests.faults.damages import DAMAGES, flipped
from tests.faults.model_centre import ModelCentre

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 20261125
LONGEST_START_S: Final = 10.0
TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=200, batch_every_s=120, report_every_s=900)
_LEDGER_FAULT: Final = re.compile("the bytes of batch .* have changed|batch .* does not follow the one before it")
"""What a changed byte of a batch that was acknowledged is called: it is for the auditor, and stops nothing."""


def live(bench: Bench, centre: ModelCentre, minutes: int, rng: random.Random) -> None:
    """An agent whose centre is there two times in three, and whose answers get lost now and then."""
    for minute in range(minutes):
        bench.read("mast", ["temperature", minute % 40], ["wind_speed", minute % 20])
        bench.read("air", ["carbon_dioxide", 500 + minute])
        if minute % 7 == 0:
            bench.read("alarm", ["smoke", minute // 7 % 2])
        bench.until_closed(MINUTE)
        if bench.sends and rng.random() < 0.66:
            send = bench.sends.pop(0)
            answer = centre.take(send)
            is_lost = rng.random() < 0.2
            bench.play(Undelivered(send.batch, "the answer got lost") if is_lost else answer)
            bench.settle()


def run(count: int, folder: Path) -> Outcome:
    """Damage copies of one store, each in its own way, and let an agent go on with each."""
    rng = random.Random(SEED)
    bench, centre = Bench(folder / "state", timing=TIMING), ModelCentre()
    bench.store._connection.pragma("wal_autocheckpoint", 60)  # so that most of it stands in the file itself
    live(bench, centre, 25, rng)
    older = folder / "older"
    shutil.copytree(folder / "state", older)
    live(bench, centre, 15, rng)
    copies, told = folder / "whole", dict(centre.stored)
    shutil.copytree(folder / "state", copies)
    clock, epoch = bench.clock.now(), bench.core.state.epoch
    bench.stop()
    broken: list[str] = []
    doubled = aside = readings = summaries = ledger = 0
    slowest = 0.0
    for number in range(count):
        place = folder / f"copy-{number}"
        damage = DAMAGES[number % len(DAMAGES)]
        shutil.copytree(older if damage is not flipped and rng.random() < 0.1 else copies, place)
        damage(place / FILE_NAME, rng)
        variant = ModelCentre()
        variant.restore(centre.copy())
        variant.stored = dict(told)
        started = time.monotonic()
        mended = Bench(place, timing=TIMING, at_ms=clock, seed=number)
        slowest = max(slowest, time.monotonic() - started)
        found = go_on(mended, variant)
        doubled += len(variant.doubled)
        is_aside = any(".corrupt-" in each.name for each in place.iterdir())
        aside += is_aside
        faults = [*mended.audit().faults, *variant.changed, *found]
        ledger += any(_LEDGER_FAULT.fullmatch(fault) is not None for fault in faults)
        faults = [fault for fault in faults if _LEDGER_FAULT.fullmatch(fault) is None]
        if is_aside and mended.core.state.epoch == epoch:
            faults.append("the epoch of a damaged store goes on")
        balance = mended.audit().balance
        readings, summaries = readings + balance["gap"], summaries + balance["damaged"]
        broken += [f"{damage.__name__} {number}: {fault}" for fault in faults]
        mended.stop()
        shutil.rmtree(place)
    if slowest > LONGEST_START_S:
        broken.append(f"a start took {slowest:.1f} s")
    seen = (
        f"{aside} stores moved aside, of what the damage took {readings:,} readings and {summaries} summaries counted; "
        f"{ledger} with changed bytes of the past named by the audit; slowest start {slowest * 1000:.0f} ms"
    )
    return Outcome(count, 0, doubled, seen, tuple(broken))


def go_on(bench: Bench, centre: ModelCentre) -> list[str]:
    """Take a reading in, tell it, and deliver everything; what is not as it should be."""
    before = bench.core.report().admitted
    bench.read("mast", ["temperature", 39])
    if bench.core.report().admitted != before + 1:
        return ["it takes nothing in"]
    at = bench.clock.now() // MINUTE * MINUTE
    for _ in range(400):
        bench.pass_time(10 * SECOND)
        bench.settle()
        if bench.sends:
            bench.play(centre.take(bench.sends.pop(0)))
            bench.settle()
        state = bench.core.state
        if (
            not (state.waiting or state.unacknowledged or state.ending is not None)
            and bench.clock.now() > at + 4 * MINUTE
        ):
            break
    else:
        return ["it is there, and delivers nothing"]
    told = [key for key in centre.stored if key[1] == at and "temperature" in key[0]]
    return [] if told else ["what came in after the start never arrived"]


CAMPAIGNS: Final = [
    Campaign(
        name="damage",
        fault="the agent's database cut off, bit-flipped, zeroed, its log gone or cut off, an older copy in its place",
        short=200,
        long=1_000,
        run=run,
    )
]
