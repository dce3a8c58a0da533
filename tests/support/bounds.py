"""Bounds that hold for finite samples: a test that uses them fails by chance once in a million runs."""

from __future__ import annotations

import math
from typing import Final

ALPHA: Final = 1e-6
_T: Final = -math.log(ALPHA)


def at_least(successes: int, trials: int) -> float:
    """The Clopper-Pearson lower bound of a probability."""
    return 1 - at_most(trials - successes, trials)


def at_most(successes: int, trials: int) -> float:
    """The Clopper-Pearson upper bound of a probability: above it, so few successes would have been a wonder."""
    low, high = successes / trials, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(successes, trials, middle) > ALPHA else (low, middle)
    return high


def _tail(successes: int, trials: int, probability: float) -> float:
    """The probability of at most so many successes."""
    if probability >= 1:
        return float(successes >= trials)
    whole, one, other = math.lgamma(trials + 1), math.log(probability), math.log1p(-probability)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * one + (trials - k) * other)
        for k in range(successes + 1)
    )


def largest_chi_square(freedom: int) -> float:
    """What a chi-square variable exceeds once in a million (Laurent and Massart 2000, lemma 1)."""
    return freedom + 2 * math.sqrt(freedom * _T) + 2 * _T


def least_chi_square(freedom: int) -> float:
    """Below what it falls once in a million (the same)."""
    return freedom - 2 * math.sqrt(freedom * _T)
