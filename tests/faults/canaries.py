"""Made-up personal values through every inlet of a real agent, and a search for them in all that it leaves behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.faults.campaign import Campaign, Outcome
from tests.privacy.canaries import canaries
from tests.privacy.exposed import expose_process
from tests.privacy.scan import Scanner
from tests.support.processes import Processes

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 20_251_013
NAME: Final = "zhangwei0413"
_MOST_TOLD: Final = 20


def run(count: int, folder: Path) -> Outcome:
    """Each value through each inlet; whatever is found breaks a promise."""
    values, processes = canaries(count, SEED), Processes(folder / "processes")
    try:
        exposed = asyncio.run(expose_process(values, NAME, folder, processes))
    finally:
        processes.end()
    hits = Scanner([*values, NAME]).scan(exposed.surfaces)
    size = sum(map(len, exposed.surfaces.values()))
    seen = (
        f"{len(hits)} hits in {size / 1e6:.0f} MB of wire, database, log of the database, logs, pages and files; "
        f"{exposed.summaries} batches of summaries told meanwhile"
    )
    broken = [str(hit) for hit in hits[:_MOST_TOLD]]
    return Outcome(count, 0, 0, seen, (*broken, *([] if exposed.summaries else ["nothing was told at all"])))


CAMPAIGNS: Final = (
    Campaign(
        name="canaries",
        fault="personal values in topics, keys, values, client ids, wills, serial frames, exceptions, configuration",
        short=1_000,
        long=10_000,
        run=run,
    ),
)
