"""Was one certain pupil at school? The attacker knows how many others were in each room, to the person.

Day after day goes through the agent itself: readings of people counters, the slot's statistic, OpenDP's noise, the
ledger, the outbox, the wire. The attacker adds up by how much each told value exceeds what it would be without the
pupil: of Gaussian noise no other score does better (Neyman and Pearson). Without noise the same attacker must win.
"""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING, Final

from edge_agent.events import Applied, Delivered, Tick
from edge_agent.privacy.noise import discrete_gaussian
from edge_agent.timing import Timing
from edge_agent.windows import Cadence
from telemetry import decode_all
from telemetry.uplink_contract import REPORT_PATH, unseal
from tests.edge_agent.harness import HOUR, MINUTE, MONDAY_9, STANDARD, Bench, bind, frame
from tests.privacy.attack import auc, standard_error
from tests.privacy.proof import Proof, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.events import Send
    from edge_agent.privacy.budget import Budget
    from edge_agent.privacy.noise import Noise
    from telemetry.uplink_contract import BatchId

MOST_AUC: Final = 0.65
LEAST_AUC_WITHOUT_NOISE: Final = 0.95
SURE: Final = 4.8
"""By how many standard errors a few days may miss the bound: chance alone does so once in a million runs."""
_TIMING: Final = Timing(lateness_ms=2 * MINUTE, batch_every_s=60, report_every_s=3600)
_CADENCE: Final = Cadence(10 * MINUTE, 30 * MINUTE)
_HOURS: Final = 9
_SLOTS: Final = 6
"""Of them, whole ones in timetable hours."""
_OTHERS: Final = {"door": 30, "hall": 61}
_DEVICES: Final = (
    bind("door", ("people_count",), room="a-301", policy=STANDARD, cadence=_CADENCE),
    bind("hall", ("people_count",), room="a-302", policy=STANDARD, cadence=_CADENCE),
    bind("air", ("carbon_dioxide",), policy=STANDARD, cadence=_CADENCE),
)
_COUNTS: Final = re.compile(rb"value=\d+,error95=(\d+),band=\d+i")


def run(count: int, folder: Path) -> Result:
    """Attack so many days, half of them with the pupil; as many again without noise, but no more than forty."""
    days = max(2, count // 2)
    area = _attack(days, folder / "noise", discrete_gaussian)
    bare = _attack(min(days, 20), folder / "bare", _none)
    broken = []
    if area - SURE * standard_error(MOST_AUC, days) > MOST_AUC:
        broken.append(f"the pupil is found: AUC {area:.3f}")
    if bare < LEAST_AUC_WITHOUT_NOISE:
        broken.append(f"without noise the attack fails: AUC {bare:.3f}")
    broken += _differences(folder)
    seen = f"AUC {area:.3f}, without noise {bare:.3f}; the wires of two days are equal but for the noisy values"
    return Result(2 * days, seen, tuple(broken))


def _attack(days: int, folder: Path, make_noise: Callable[[Budget], Noise]) -> float:
    scores: tuple[list[float], list[float]] = [], []
    for is_there in (False, True):
        for day in range(days):
            place = folder / f"{is_there}-{day}"
            sent = _day(place, is_there=is_there, make_noise=make_noise, step_ms=_CADENCE.every_ms)
            shutil.rmtree(place)  # thousands of stores, and the folder may be in memory
            values = [value for send in sent for value in _values(send)]
            assert len(values) == _SLOTS, "not every slot was told of people"
            scores[is_there].append(sum(value - sum(_OTHERS.values()) for value in values))
    return auc(scores[True], scores[False])


def _day(
    folder: Path, *, is_there: bool, make_noise: Callable[[Budget], Noise], step_ms: int, extra: int = 0
) -> list[Send]:
    """Everything that goes over the wire of one school day.

    The agent is told of the time each `step_ms`: how often changes what goes when, and no value. `extra`: how often
    devices send besides, one that is not placed too.
    """
    bench = Bench(
        folder, devices=_DEVICES, timing=_TIMING, policy=STANDARD, at_ms=MONDAY_9 - HOUR - MINUTE, make_noise=make_noise
    )
    bench.play(Tick())  # or the first slot would be one in which the agent began
    wire: list[Send] = []
    for _ in range(0, _HOURS * HOUR, _CADENCE.every_ms):
        people = _OTHERS | {"door": _OTHERS["door"] + is_there}
        for device, number in people.items():
            for _ in range(1 + extra):
                bench.arrive(device, frame(["people_count", number, "", bench.clock.now()]))
        for number in range(1 + extra):
            bench.arrive("air", frame(["carbon_dioxide", 600, "", bench.clock.now()]))
            if number:
                bench.arrive("card-reader", frame())
        for _ in range(0, _CADENCE.every_ms, step_ms):
            bench.pass_time(step_ms)
            bench.settle()
            while bench.sends:
                wire.append(bench.answer(partial(_confirmed, bench)))
    assert bench.audit().faults == []
    bench.stop()
    return wire


def _confirmed(bench: Bench, batch: BatchId) -> Delivered:
    """The centre's 204: it stands where this store does."""
    return Delivered(batch, Applied(batch.sequence, bench.core.state.unacknowledged[batch].head))


def _values(send: Send) -> list[int]:
    if send.path == REPORT_PATH:
        return []
    return [summary.fields["value"] for summary in decode_all(unseal(send.body)) if "value" in summary.fields]


def _differences(folder: Path) -> list[str]:
    """The pupil makes devices send more often besides: what else than a noisy value is another for it?"""
    wires = []
    for is_there in (False, True):
        place, extra = folder / f"wire-{is_there}", 2 * is_there
        day = _day(place, is_there=is_there, make_noise=_none, step_ms=MINUTE, extra=extra)
        wires.append([(send.path, len(send.body), _without_counts(send)) for send in day])
    if wires[0] == wires[1]:
        return []
    return [
        f"more than a noisy value tells of the pupil: {pair}"
        for pair in zip(*wires, strict=False)
        if pair[0] != pair[1]
    ]


def _without_counts(send: Send) -> object:
    text = unseal(send.body)
    return json.loads(text) if send.path == REPORT_PATH else _COUNTS.sub(rb"value,error95=\1,band", text)


def _none(_budget: Budget) -> Noise:
    return lambda exact: exact


PROOFS: Final = [
    Proof(
        name="membership",
        claim_en="whether one certain pupil was at school: AUC at most 0.65 (rho 0.10) for who knows all of the others",
        claim_zh="某一个学生是否在校：即使知道其他所有人的情况，AUC 也不超过 0.65（rho 0.10）",
        short=80,
        long=2_000,
        run=run,
    )
]
