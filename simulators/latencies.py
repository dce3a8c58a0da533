"""Latencies in buckets of 2 % each: a million take no more room than ten, and those of many processes can be added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BASE: Final = math.log(1.02)
_BUCKETS: Final = 1024
"""Up to 10 minutes, from a microsecond."""


class Latencies:
    """Counts by bucket. A percentile is the upper bound of its bucket: at most 2 % too high, never too low."""

    def __init__(self, counts: Iterable[int] = ()) -> None:
        self.counts = list(counts) or [0] * _BUCKETS

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bucket(seconds)] += 1

    def merge(self, counts: Sequence[int]) -> None:
        """Those of another."""
        self.counts = [mine + other for mine, other in zip(self.counts, counts, strict=True)]

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def percentile_ms(self, share: float) -> float:
        """Milliseconds that this share of them does not exceed; 0 of none."""
        left = math.ceil(share * self.total)
        if not left:
            return 0.0
        for place, count in enumerate(self.counts):
            left -= count
            if left <= 0:
                return math.exp((place + 1) * _BASE) / 1000
        raise AssertionError


def bucket(seconds: float) -> int:
    """The place of a latency's bucket."""
    microseconds = seconds * 1e6
    return min(_BUCKETS - 1, int(math.log(microseconds) / _BASE)) if microseconds > 1 else 0
