"""Made-up personal values through every inlet of a real agent, and a search for them in all that it leaves behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from tests.privacy.canaries import canaries
from tests.privacy.exposed import expose_here, expose_process
from tests.privacy.mutants import MUTANTS, Change
from tests.privacy.proof import Proof, Result
from tests.privacy.scan import Scanner
from tests.support.processes import Processes

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 20_251_013
NAME: Final = "zhangwei0413"
"""In the configuration, wherever a person's name could stand."""
_MOST_TOLD: Final = 20
_OF_EACH_KIND: Final = 9


def search(count: int, folder: Path) -> Result:
    """Each value through each inlet; whatever is found breaks the claim."""
    values, processes = canaries(count, SEED), Processes(folder / "processes")
    try:
        exposed = asyncio.run(expose_process(values, NAME, folder, processes))
    finally:
        processes.end()
    hits = Scanner([*values, NAME]).scan(exposed.surfaces)
    size = sum(map(len, exposed.surfaces.values()))
    seen = (
        f"{len(hits)} hits in {size / 1e6:.0f} MB of wire, database and its log, logs, metrics, pages and files; "
        f"{exposed.summaries} batches of summaries told meanwhile"
    )
    broken = [str(hit) for hit in hits[:_MOST_TOLD]]
    return Result(count, seen, (*broken, *([] if exposed.summaries else ["nothing was told at all"])))


def catch(count: int, folder: Path) -> Result:
    """Agents changed to leak, one after another, each under the same search."""
    values = canaries(_OF_EACH_KIND, SEED)
    missed = []
    for number in range(count):
        mutant, place = MUTANTS[number % len(MUTANTS)], folder / f"{number}"
        with pytest.MonkeyPatch.context() as patch:
            mutant(Change(patch, place / "agent" / "state"))
            exposed = asyncio.run(expose_here(values, NAME, place, minutes=35))
        if not Scanner(values).scan(exposed.surfaces):
            missed.append(f"not caught: {mutant.__name__.strip('_')}")
    return Result(count, f"{count - len(missed)} of {count} leaking agents caught", tuple(missed))


PROOFS: Final = [
    Proof(
        name="canaries",
        claim_en="personal values in topics, keys, values, client ids, wills, serial frames, exceptions and "
        "configuration are nowhere in what an agent leaves, in any encoding or digest",
        claim_zh="经任何入口进来的个人信息，不以任何编码或摘要出现在网关留下的任何地方",
        short=1_000,
        long=10_000,
        run=search,
    ),
    Proof(
        name="leaks",
        claim_en="that search finds the leak of every agent that was changed to leak",
        claim_zh="对每个被改成会泄露的网关，同样的搜索都能发现泄露",
        short=len(MUTANTS),
        long=len(MUTANTS),
        run=catch,
    ),
]
