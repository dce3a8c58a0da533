"""One seed, one life: an agent's core and store, its devices and a centre, on a clock, disk and network that fail.

    python -m tests.faults.simulate --seed 7 --steps 400      one run, with what it did
    python -m tests.faults.simulate --seeds 200               many, and the table of what was met in which state

The core and the store are the real ones; the disk is SQLite's file system with the power cut between any two writes;
time, randomness and the network are the run's. A run that breaks a promise prints its seed, which replays it exactly.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.faults.befalling import FAULTS
from tests.faults.campaign import Campaign, Outcome
from tests.faults.life import STATES, BrokenPromise, Life
from tests.faults.spread import spread
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS: Final = 120


@dataclass(frozen=True, slots=True)
class Lived:
    """What a seed's life came to."""

    covered: Counter[tuple[str, str]]
    totals: Counter[str]
    broken: str
    """The promise that was broken, with what replays it."""


def live(place: tuple[Path, int]) -> Lived:
    """One seed's life, in a folder."""
    folder, seed = place
    life, broken = Life(folder / f"seed-{seed}", seed), ""
    try:
        life.run(STEPS)
    except BrokenPromise as promise:
        broken = f"seed {seed}, step {life.step}: {promise}"
    life.remove()
    return Lived(life.covered, life.totals, broken)


def run(count: int, folder: Path) -> Outcome:
    """So many seeds; a cell of the table that no seed met counts as broken: what is not tried is not shown."""
    lives = list(spread(live, [(folder, seed) for seed in range(count)], at_once=10))
    covered = sum((life.covered for life in lives), Counter[tuple[str, str]]())
    totals = sum((life.totals for life in lives), Counter[str]())
    broken = [life.broken for life in lives if life.broken]
    broken += [f"never met: {cell}" for cell in _never_met(covered, count)]
    for name, what in (("counts", "a count of people that was told"), ("revised", "a late reading that was revised")):
        if count >= 100 and not totals[name]:
            broken.append(f"never met: {what}")
    lost, doubled = totals["lost"], totals["doubled"]
    seen = (
        f"{totals['readings']:,} readings, {totals['summaries']:,} summaries, {totals['counts']:,} people counts, "
        f"{totals['revised']:,} late readings revised, "
        f"{sum(covered.values()):,} faults, {totals['days']:,} days of agents' lives"
    )
    return Outcome(count, lost, doubled, seen, tuple(broken))


def _never_met(covered: Counter[tuple[str, str]], count: int) -> list[str]:
    """The cells that so many seeds should have met, and did not; a few seeds meet few."""
    cells = ((fault, state) for fault in FAULTS for state in STATES)
    return sorted(f"{fault} x {state}" for fault, state in cells if not covered[fault, state]) if count >= 100 else []


def table(covered: Counter[tuple[str, str]]) -> str:
    """How often each fault was met in each state."""
    width = max(map(len, FAULTS))
    lines = [" " * width + "".join(f"{state:>12}" for state in STATES)]
    lines += [f"{fault:<{width}}" + "".join(f"{covered[fault, state]:>12}" for state in STATES) for fault in FAULTS]
    return "\n".join(lines)


def replay(seeds: Sequence[int], steps: int) -> int:
    """Run each seed and say what became of it; 1 when a promise was broken or, of many seeds, a cell is empty."""
    covered: Counter[tuple[str, str]] = Counter()
    failed = 0
    for seed in seeds:
        with memory_folder("simulate-") as folder:
            life = Life(Path(folder) / "life", seed)
            try:
                life.run(steps)
                verdict = "every promise held"
            except BrokenPromise as promise:
                verdict, failed = f"BROKEN at step {life.step}: {promise}", failed + 1
            figures = ", ".join(f"{name} {number}" for name, number in sorted(life.totals.items()))
            print(f"seed {seed}, {steps} steps, life {life.digest()}: {verdict}; {figures}", flush=True)
            covered += life.covered
            life.remove()
    print(table(covered))
    never_met = _never_met(covered, len(seeds))
    for cell in never_met:
        print(f"never met: {cell}")
    return 1 if failed or never_met else 0


def main(arguments: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulate", description="Seeded simulation.")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--seeds", type=int, default=20, help="so many seeds, from 0")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args(arguments)
    return replay([options.seed] if options.seed is not None else range(options.seeds), options.steps)


CAMPAIGNS: Final = [
    Campaign(
        name="simulation",
        fault="seeded lives: power cuts, lost and doubled answers, clock steps, a slow, dead, restored or mistaken "
        "centre, a restored or forked agent, redelivery, late readings, a full disk, reloads",
        short=200,
        long=10_000,
        run=run,
    )
]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
