"""OpenDP's noise as the agent takes it, and the figures of it that the documents state."""

from __future__ import annotations

import importlib
import math
from typing import Any

import pytest

from edge_agent.privacy.budget import Budget, epsilon
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian
from tests.support.bounds import at_least, at_most, largest_chi_square, least_chi_square

dp: Any = importlib.import_module("opendp.prelude")  # its types say less than it takes
dp.enable_features("contrib")


def test_the_figures_that_the_documents_state() -> None:
    """Epsilon at delta 1e-6 of a day of eight slots, and of a term of a hundred days."""
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    for rho, stated in ((0.1, 2.14), (10, 32.2)):
        measurement = dp.m.make_gaussian(*space, scale=math.sqrt(1 / (2 * rho)))
        by_opendp = dp.c.make_zCDP_to_approxDP(measurement).map(1).epsilon(1e-6)
        assert epsilon(rho) == pytest.approx(by_opendp, rel=1e-3)
        assert by_opendp == pytest.approx(stated, abs=0.05)


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
