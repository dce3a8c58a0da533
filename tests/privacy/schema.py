"""Payloads of every kind of device, changed at random, through core and store: what leaves is of the schema."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from tests.privacy.payloads import recorded, through_an_agent
from tests.privacy.proof import Proof, Result

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 20_251_013
A_LIFE: Final = 5_000
_MOST_TOLD: Final = 20


def run(count: int, folder: Path) -> Result:
    """Lives of some thousand payloads each; whatever leaves otherwise breaks the claim."""
    broken: list[str] = []
    summaries = batches = drivers = 0
    for number in range(-(-count // A_LIFE)):
        payloads, devices = min(A_LIFE, count - number * A_LIFE), recorded()
        egress = through_an_agent(folder / f"{number}", Random(f"{SEED} {number}"), payloads, devices)
        broken += [f"seed {SEED} {number}: {fault}" for fault in egress.faults()][: _MOST_TOLD - len(broken)]
        summaries, batches = summaries + egress.summaries, batches + len(egress.sends)
        drivers = len({each.binding.driver_id for each in devices})
    seen = f"{summaries:,} summaries in {batches:,} batches, of devices of {drivers} drivers"
    return Result(count, seen, (*broken, *([] if summaries else ["nothing was told at all"])))


PROOFS: Final = [
    Proof(
        name="payloads",
        claim_en="whatever devices send, what leaves is of the schema, and no finer than its class allows",
        claim_zh="无论设备发来什么，离校数据都合乎契约、经过声明，且不细于其类别所允许",
        short=2_000,
        long=100_000,
        run=run,
    )
]
