"""How long commits took, by kind, counted as a Prometheus histogram counts."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from edge_agent.transactions import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the buckets; what took longer is counted above them all."""


class CommitTimes:
    """Written by the store's thread alone; whoever reads sees whole numbers, at most one commit apart."""

    def __init__(self) -> None:
        self._counts = {kind: [0] * (len(BOUNDS_S) + 1) for kind in Kind}
        self._sums = dict.fromkeys(Kind, 0.0)

    def add(self, kind: Kind, seconds: float) -> None:
        """Count one commit."""
        self._counts[kind][bisect_left(BOUNDS_S, seconds)] += 1
        self._sums[kind] += seconds

    def of(self, kind: Kind) -> tuple[Sequence[int], float]:
        """How many commits of this kind fell into each bucket, one more than there are bounds, and their seconds."""
        return tuple(self._counts[kind]), self._sums[kind]
