from __future__ import annotations

import math
import random

import pytest

from simulators.latencies import Latencies


def test_percentiles_are_those_of_the_sorted_values_within_two_per_cent() -> None:
    rng, latencies = random.Random(4), Latencies()
    values = sorted(rng.lognormvariate(-6, 1.2) for _ in range(20_000))
    for value in values:
        latencies.add(value)
    for share in (0.5, 0.9, 0.99, 0.999, 1.0):
        exact = 1000 * values[max(0, math.ceil(share * len(values)) - 1)]
        assert exact * 0.999 <= latencies.percentile_ms(share) <= exact * 1.025


def test_those_of_two_processes_add_up() -> None:
    one, other = Latencies(), Latencies()
    for seconds in (0.001, 0.002, 0.003):
        one.add(seconds)
    other.add(5.0)
    one.merge(other.counts)
    assert one.total == 4
    assert one.percentile_ms(1.0) == pytest.approx(5000, rel=0.03)
    assert one.percentile_ms(0.25) == pytest.approx(1, rel=0.03)


def test_none_at_all_is_nothing() -> None:
    assert Latencies().percentile_ms(0.99) == 0.0
