"""How well somebody who sees numbers can tell two kinds of days apart: the area under the ROC curve.

AUC by ranks (Mann-Whitney U; Hanley and McNeil, Radiology 143 (1982) 29): 0.5 is a coin, 1 is certainty. The attacker
takes of several features whichever serves best, and either side of it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def auc(with_it: Sequence[float], without: Sequence[float]) -> float:
    """How often a day with it scores above one without; ties count half."""
    ranked = sorted([(value, True) for value in with_it] + [(value, False) for value in without])
    total, index = 0.0, 0
    while index < len(ranked):
        end = index
        while end < len(ranked) and ranked[end][0] == ranked[index][0]:
            end += 1
        total += (index + 1 + end) / 2 * sum(is_with for _, is_with in ranked[index:end])
        index = end
    positives, negatives = len(with_it), len(without)
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def best_auc(with_it: Sequence[Sequence[float]], without: Sequence[Sequence[float]]) -> tuple[float, str]:
    """The best an attacker does by one feature of a day's series, and which; days may have any number of values."""
    found = {}
    for name, feature in FEATURES.items():
        area = auc([feature(day) for day in with_it], [feature(day) for day in without])
        found[name] = max(area, 1 - area)
    best = max(found, key=lambda name: found[name])
    return found[best], best


def standard_error(area: float, days: int) -> float:
    """Of an AUC from so many days of each kind (Hanley and McNeil, formula 2)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    return math.sqrt((area * (1 - area) + (days - 1) * (q1 - area**2 + q2 - area**2)) / days**2)


def _steps(day: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(day)]


FEATURES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "number": len,
    "sum": sum,
    "maximum": lambda day: max(day, default=0.0),
    "minimum": lambda day: min(day, default=0.0),
    "greatest rise": lambda day: max(_steps(day), default=0.0),
    "greatest fall": lambda day: min(_steps(day), default=0.0),
    "sharpest peak": lambda day: min(_steps(_steps(day)), default=0.0),
    "sharpest dip": lambda day: max(_steps(_steps(day)), default=0.0),
}
"""What an attacker looks at in one day's values of one series."""
