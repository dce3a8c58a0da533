"""Attacks on what is told of people counts: the noise is audited from the told lines, not from the sampler alone.

OpenDP's noise has no seed: bounds are such that chance alone breaks a claim once in a million runs.
"""

from __future__ import annotations

import datetime as dt
import importlib
import math
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from edge_agent.privacy.budget import NANO, Budget
from edge_agent.privacy.noise import discrete_gaussian
from edge_agent.slots import Held
from edge_agent.timetable import Timetable
from telemetry import decode_all
from tests.edge_agent.counting import MONDAY_8, School
from tests.edge_agent.harness import HOUR, MINUTE, MONDAY_9, SECOND, STANDARD, Bench, bind
from tests.privacy.proof import Proof, Result
from tests.support.bounds import at_least, at_most, largest_chi_square, least_chi_square
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_agent.privacy.noise import Noise

ALWAYS: Final = Timetable(ZoneInfo("UTC"), frozenset(range(7)), ((dt.time(0), dt.time.max),))
"""Every hour is a slot: 24 a day, so that many slots are soon told."""
PEOPLE: Final = 400
GROUP: Final = 30
"""By how many people two schools differ: k people pay k^2 times what one pays, and show in fewer slots."""
_SCHOOLS: Final = 20
TOO_LITTLE: Final = 0.85
CONTROL_SLOTS: Final = 9600
"""So many, that the control is caught but for one run in a million."""
POLICIES: Final = tuple(
    (rho_milli, slots, weight)
    for rho_milli in (50, 100, 250, 500)
    for slots in (1, 6, 8, 24)
    for weight in (1, 2, 3, 16)
)


def narrow(budget: Budget) -> Noise:
    """OpenDP's noise, 15 % too little of it."""
    dp: Any = importlib.import_module("opendp.prelude")
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    measurement = dp.m.make_gaussian(*space, scale=budget.sigma_milli / 1000 * TOO_LITTLE)
    return lambda exact: int(measurement(exact))


def released(make_noise: Callable[[Budget], Noise], people: Sequence[int], folder: Path) -> tuple[Budget, list[int]]:
    """What leaves of so many slots, one after the other, out of the lines that are told."""
    door = bind("door", ("people_count",), policy=STANDARD)
    bench = Bench(folder, devices=[door], policy=STANDARD, timetable=ALWAYS, make_noise=make_noise)
    counts, values = bench.core.people, []
    assert counts.plan is not None
    counts._is_confirmed = True
    counts._begin()
    bench.clock.advance(HOUR)
    assert counts.due(bench.clock.now()) is not None, "the hour in which it began is a gap"
    counts._go_on(MONDAY_9)
    for number in people:
        start_ms = counts._next_ms
        counts.put({(("door", "", "people_count"), start_ms, slot): Held(start_ms, number) for slot in (0, 30)})
        bench.clock.advance(HOUR)
        transaction = counts.due(bench.clock.now())
        assert transaction is not None
        assert transaction.spend is not None
        counts.committed(transaction)
        [summary] = decode_all("".join(f"{each.line}\n" for each in transaction.summaries).encode())
        values.append(summary.fields["value"])
    bench.stop()
    return counts.plan.budget, values


class Released:
    """Slots of two schools that differ by a group of people, as they were told in turn."""

    def __init__(self, make_noise: Callable[[Budget], Noise], slots: int, folder: Path) -> None:
        people = [PEOPLE, PEOPLE + GROUP] * (slots // 2)
        self.budget, values = released(make_noise, people, folder)
        self.less, self.more = values[::2], values[1::2]
        self.noise = [value - exact for value, exact in zip(values, people, strict=True)]

    @property
    def sigma(self) -> float:
        """As claimed."""
        return self.budget.sigma_milli / 1000

    def mu(self) -> float:
        """At least how far apart, in standard deviations, somebody who sees what is told finds the two schools.

        The event is that of the likelihood ratio: the value is nearer to the fuller school. Clopper-Pearson bounds.
        """
        threshold = PEOPLE + GROUP / 2
        true = at_least(sum(value > threshold for value in self.more), len(self.more))
        false = at_most(sum(value > threshold for value in self.less), len(self.less))
        return NormalDist().inv_cdf(true) - NormalDist().inv_cdf(false)

    def rho(self) -> float:
        """At least what one person pays for one slot."""
        return self.mu() ** 2 / 2 / GROUP**2

    def square(self) -> float:
        """If the noise is as wide as claimed, a chi-square variable with a degree of freedom for each slot."""
        return sum(each * each for each in self.noise) / self.sigma**2

    def misfit(self) -> tuple[float, int]:
        """Pearson's statistic against the discrete Gaussian, and its degrees of freedom."""
        weights = {x: math.exp(-(x**2) / 2 / self.sigma**2) for x in range(-200, 201)}
        whole, found = sum(weights.values()), Counter(self.noise)
        cells: list[list[float]] = [[0.0, 0.0]]
        for x in range(-200, 201):
            if cells[-1][0] >= 10:
                cells.append([0.0, 0.0])
            cells[-1][0] += weights[x] / whole * len(self.noise)
            cells[-1][1] += found[x]
        last = cells.pop()  # the tail behind the last whole cell belongs to it
        cells[-1] = [each + more for each, more in zip(cells[-1], last, strict=True)]
        return sum((seen - due) ** 2 / due for due, seen in cells), len(cells) - 1


@cache
def _told(make_noise: Callable[[Budget], Noise], slots: int) -> Released:
    """What so many slots were told as, once for all proofs that ask."""
    with memory_folder("counts-") as folder:
        return Released(make_noise, slots, Path(folder))


def audit(count: int, _folder: Path) -> Result:
    """So many slots with the noise as it is, and the control's."""
    told, control = _told(discrete_gaussian, count), _told(narrow, max(count, CONTROL_SLOTS))
    bare = _told(lambda _budget: lambda exact: exact, 960)
    charge = told.budget.charge_nano / NANO
    promises = {
        f"one slot costs at least {told.rho():.5f}, and {charge:.5f} is charged": told.rho() <= charge,
        "the audit says nothing": told.rho() > 0.4 * charge,
        "15 % too little noise is not caught": control.rho() > charge,
        "no noise is not caught": bare.rho() > 1.5 * charge,
        "the noise is narrower than is claimed": told.square() > least_chi_square(len(told.noise)),
        "a narrower one is not seen": control.square() < least_chi_square(len(control.noise)),
    }
    seen = (
        f"rho of one person and slot at least {told.rho():.5f}, charged {charge:.5f}; with 15 % too little noise at "
        f"least {control.rho():.5f}, without noise {bare.rho():.5f}"
    )
    return Result(count, seen, tuple(promise for promise, holds in promises.items() if not holds))


def fit(count: int, _folder: Path) -> Result:
    """So many slots against the exact probabilities; the control has 15 % too little noise."""
    told, control = _told(discrete_gaussian, count), _told(narrow, max(count, CONTROL_SLOTS))
    (misfit, freedom), (wrong, wrong_freedom) = told.misfit(), control.misfit()
    most, middle = largest_chi_square(freedom), sum(told.noise) / len(told.noise)
    promises = {
        f"chi-square is {misfit:.0f} with {freedom} degrees of freedom": misfit < most,
        f"the noise's mean is {middle:.2f}": abs(middle) < 5.5 * told.sigma / math.sqrt(len(told.noise)),
        "a narrower one fits": wrong > largest_chi_square(wrong_freedom),
    }
    seen = f"chi-square {misfit:.0f} with {freedom} degrees of freedom, at most {most:.0f}; the control's {wrong:.0f}"
    return Result(count, seen, tuple(promise for promise, holds in promises.items() if not holds))


def compose(count: int, _folder: Path) -> Result:
    """So many policies: the ledger's day beside OpenDP's composition and its odometer."""
    dp: Any = importlib.import_module("opendp.prelude")
    dp.enable_features("contrib")
    broken, furthest = [], 0.0
    for rho_milli, slots, weight in POLICIES[:count]:
        budget = Budget.derive(rho_milli=rho_milli, slots=slots, weight=weight)
        space = dp.vector_domain(dp.atom_domain(T="i64"), size=weight), dp.l2_distance(T="f64")
        sigma, moved = budget.sigma_milli / 1000, math.sqrt(weight)
        slot = dp.m.make_gaussian(*space, scale=sigma)
        composed = dp.c.make_composition([slot] * slots).map(moved) * NANO
        odometer = dp.c.make_fully_adaptive_composition(*space, output_measure=dp.zero_concentrated_divergence())
        queryable = odometer([30] * weight)
        for _ in range(slots):
            queryable(slot)
        spent, charged = queryable.privacy_loss(moved) * NANO, slots * budget.charge_nano
        furthest = max(furthest, charged - composed)
        if not (composed <= charged + 1e-3 and charged <= budget.rho_nano and charged - composed < slots + 1):
            broken.append(f"{budget}: OpenDP composes to {composed}")
        if abs(spent - composed) > 1e-6 * composed:
            broken.append(f"{budget}: OpenDP's odometer says {spent}, its composition {composed}")
        if (
            dp.m.make_gaussian(*space, scale=budget.sigma_milli / 1000 * TOO_LITTLE).map(moved) * NANO
            <= budget.charge_nano
        ):
            broken.append(f"{budget}: 15 % too little noise is within the charge")
    seen = f"the ledger is never below OpenDP's composition, and at most {furthest:.1f} nano-rho a day above it"
    return Result(min(count, len(POLICIES)), seen, tuple(broken))


def restart(count: int, folder: Path) -> Result:
    """So many restarts, spread over the hour before a slot is told, the moment of it, and the time behind it."""
    lines, charges, broken = set[str](), set[int](), list[str]()
    for number in range(_SCHOOLS):
        school = School(folder / f"{number}", make_noise=discrete_gaussian)
        school.work(HOUR, step=20 * MINUTE)
        for _ in range(number * 13 % 61):
            school.pass_time(5 * SECOND)
            if school.commits and number % 2:
                school.commit()
        if school.commits and number % 3:
            school.store.commit(school.commits[0])
        for _ in range(count // _SCHOOLS):
            school.restart()
            school.pass_time(MINUTE)
            school.settle()
        told = {str(each) for each in school.counts() if each.start_ms == MONDAY_8}
        charged = school.core.state.spending.charges.keys() & {MONDAY_8}
        if len(told) != len(charged):
            broken.append(f"school {number}: {len(told)} values, {len(charged)} charges")
        lines |= told
        charges |= {number} if charged else set()
        school.stop()
    if not 0 < len(charges) < _SCHOOLS:
        broken.append("no restart came before the slot was told, or none behind it")
    seen = f"{len(charges)} of {_SCHOOLS} schools had told the slot: one value and one charge each; the others none"
    return Result(count // _SCHOOLS * _SCHOOLS, seen, tuple(broken))


PROOFS: Final = [
    Proof(
        name="counts-audit",
        claim_en="What is told of people counts costs one person no more than is charged; 15 % too little noise shows.",
        claim_zh="发布的人数对任一个人的代价不超过账本所记；噪声少 15 % 即被查出。",
        short=2400,
        long=40_000,
        run=audit,
    ),
    Proof(
        name="counts-fit",
        claim_en="The noise of people counts is the discrete Gaussian that it is said to be.",
        claim_zh="人数的噪声确为所声明的离散高斯分布。",
        short=2400,
        long=40_000,
        run=fit,
    ),
    Proof(
        name="counts-composition",
        claim_en="A day of slots composes, by OpenDP's accountant too, to no more than the budget.",
        claim_zh="一天各时段的代价合计不超过预算，OpenDP 的核算与账本一致。",
        short=len(POLICIES),
        long=len(POLICIES),
        run=compose,
    ),
    Proof(
        name="counts-restarts",
        claim_en="However often an agent is killed, a slot of people counts has one value and one charge, or none.",
        claim_zh="无论网关被杀多少次，一个时段的人数只有一个值、一笔账，或者都没有。",
        short=200,
        long=1000,
        run=restart,
    ),
]
