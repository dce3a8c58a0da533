"""The noise of people counts, audited from outside: of what the pipeline tells, not of the sampler alone.

Each audit has a control with 15 % too little noise, which it must catch. OpenDP's noise has no seed: bounds are such
that chance alone fails a test once in a million runs.
"""

from __future__ import annotations

import datetime as dt
import importlib
import math
from collections import Counter
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest

from edge_agent.privacy.budget import NANO, Budget
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian
from edge_agent.timetable import Timetable
from edge_agent.windows import Held
from telemetry import decode_all
from tests.edge_agent.harness import HOUR, MONDAY_9, STANDARD, Bench, bind
from tests.support.bounds import at_least, at_most, largest_chi_square, least_chi_square
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_agent.privacy.noise import Noise

ALWAYS: Final = Timetable(ZoneInfo("UTC"), frozenset(range(7)), ((dt.time(0), dt.time.max),))
"""Every hour is a slot: 24 a day, so that many slots are soon told."""
PEOPLE: Final = 400
GROUP: Final = 30
"""By how many people two days differ: k people cost k^2 times what one costs, and show in fewer releases."""
DAYS: Final = 100
MORE_DAYS: Final = 400
"""So many of the control, that it is caught but for one run in a million."""
TOO_LITTLE: Final = 0.85

dp: Any = importlib.import_module("opendp.prelude")  # its types say less than it takes
dp.enable_features("contrib")


def narrow(budget: Budget) -> Noise:
    """OpenDP's noise, 15 % too little of it."""
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    measurement = dp.m.make_gaussian(*space, scale=budget.sigma_milli / 1000 * TOO_LITTLE)
    return lambda exact: int(measurement(exact))


def released(make_noise: Callable[[Budget], Noise], people: Sequence[int], folder: Path) -> tuple[Budget, list[int]]:
    """What leaves of so many slots, one after the other, out of the lines that are told."""
    door = bind("door", ("people_count",), policy=STANDARD)
    bench = Bench(folder, devices=[door], policy=STANDARD, timetable=ALWAYS, make_noise=make_noise)
    counts, values = bench.core.people, []
    assert counts._plan is not None
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
    return counts._plan.budget, values


class Released:
    """Slots of two schools that differ by a group of people, as they were told in turn."""

    def __init__(self, make_noise: Callable[[Budget], Noise], days: int) -> None:
        people = [PEOPLE, PEOPLE + GROUP] * (12 * days)
        with memory_folder("noise-") as folder:
            self.budget, values = released(make_noise, people, Path(folder))
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


@pytest.fixture(scope="module")
def told() -> Released:
    return Released(discrete_gaussian, DAYS)


@pytest.fixture(scope="module")
def too_narrow() -> Released:
    return Released(narrow, MORE_DAYS)


def test_what_is_told_costs_no_more_than_is_charged(
    told: Released, too_narrow: Released, tell: Callable[[str], None]
) -> None:
    """The bound on rho from releases alone is below the charge; with 15 % too little noise it is above."""
    charge = told.budget.charge_nano / NANO
    assert too_narrow.budget == told.budget
    assert 0.4 * charge < told.rho() <= charge, "it must hold, and be near enough to say something"
    assert too_narrow.rho() > charge, "the control was not caught"
    tell(
        f"{len(told.noise)} slots: rho of one at least {told.rho():.5f}, charged {charge:.5f}; "
        f"with 15 % too little noise at least {too_narrow.rho():.5f}"
    )


def test_what_is_told_is_as_wide_as_is_claimed(told: Released, too_narrow: Released) -> None:
    """The squares of the noise; and its mean is nothing."""
    assert told.square() > least_chi_square(len(told.noise))
    assert too_narrow.square() < least_chi_square(len(too_narrow.noise)), "the control was not caught"
    assert abs(sum(told.noise)) / len(told.noise) < 5.5 * told.sigma / math.sqrt(len(told.noise))


def test_what_is_told_is_a_discrete_gaussian(told: Released, too_narrow: Released) -> None:
    """Chi-square against the exact probabilities."""
    misfit, freedom = told.misfit()
    assert freedom > 30
    assert misfit < largest_chi_square(freedom)
    misfit, freedom = too_narrow.misfit()
    assert misfit > largest_chi_square(freedom), "the control was not caught"


def test_without_noise_the_audit_finds_out() -> None:
    """Two schools that differ are told apart every time."""
    bare = Released(lambda budget: lambda exact: exact, 40)
    assert bare.rho() > 1.5 * bare.budget.charge_nano / NANO


@pytest.mark.parametrize(("rho_milli", "slots", "weight"), [(100, 8, 1), (100, 6, 3), (50, 24, 2), (500, 7, 16)])
def test_a_day_composes_to_no_more_than_the_budget_by_another_accountant(
    rho_milli: int, slots: int, weight: int
) -> None:
    """OpenDP's composition of a day's slots, and its odometer, agree with the ledger, which is never below them."""
    budget = Budget.derive(rho_milli=rho_milli, slots=slots, weight=weight)
    sigma = budget.sigma_milli / 1000
    space = (dp.vector_domain(dp.atom_domain(T="i64"), size=weight), dp.l2_distance(T="f64"))
    slot = dp.m.make_gaussian(*space, scale=sigma)
    moved = math.sqrt(weight)
    by_opendp = dp.c.make_composition([slot] * slots).map(moved)
    ours = slots * budget.charge_nano
    assert by_opendp * NANO <= ours + 1e-3 <= budget.rho_nano + 1e-3
    assert ours - by_opendp * NANO < slots + 1, "rounded up, by no more than one nano-rho a slot"
    odometer = dp.c.make_fully_adaptive_composition(*space, output_measure=dp.zero_concentrated_divergence())
    queryable = odometer([30] * weight)
    for _ in range(slots):
        queryable(slot)
    assert queryable.privacy_loss(moved) == pytest.approx(by_opendp, rel=1e-9)


def test_the_figures_that_the_documents_state() -> None:
    """Epsilon at delta 1e-6 of a day of eight slots, and of a term of a hundred days."""
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    for rho, epsilon in ((0.1, 2.14), (10, 32.2)):
        measurement = dp.m.make_gaussian(*space, scale=math.sqrt(1 / (2 * rho)))
        assert dp.c.make_zCDP_to_approxDP(measurement).map(1).epsilon(1e-6) == pytest.approx(epsilon, abs=0.05)


def test_noise_is_drawn_anew_each_time_and_refused_where_it_costs_more_than_is_charged() -> None:
    """OpenDP's own word on the cost of a slot is asked before the first."""
    budget = Budget.derive(rho_milli=100, slots=8, weight=1)
    noise = discrete_gaussian(budget)
    drawn = [noise(30) for _ in range(50)]
    assert len(set(drawn)) > 10
    assert all(abs(each - 30) < 12 * budget.sigma_milli / 1000 for each in drawn)
    cheaper = Budget(budget.rho_nano, budget.slots, budget.weight, budget.sigma_milli, budget.charge_nano - 10)
    with pytest.raises(NoiseMissing, match="takes 12498242 nano-rho"):
        discrete_gaussian(cheaper)


def test_the_bounds_themselves() -> None:
    """Against values that are known."""
    assert at_most(0, 100) == pytest.approx(1 - 1e-6 ** (1 / 100), rel=1e-6)
    assert at_least(100, 100) == pytest.approx(1e-6 ** (1 / 100), rel=1e-6)
    assert all(at_least(k, 50) < k / 50 < at_most(k, 50) for k in range(1, 50))
    assert least_chi_square(100) < 100 < largest_chi_square(100)
