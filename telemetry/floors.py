"""How finely a class may be told at most: the same numbers bind what a policy may say and what a centre takes.

A summary does not say its class, which depends on the placement and the role of its device as well. Its quantity says
the least it can be, and no window may be shorter than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry.quantities import PrivacyClass
from telemetry.spans import DAY_S, HOUR_S, MINUTE_S, QUARTER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemetry.quantities import Quantity

EVENT_S: Final = 1
"""What an event of safety is stamped with: the second it happened in."""
LEAST_ERROR95: Final = 2
"""Of a count of people: the error of the least noise that is told, with a standard deviation of 1."""
SHORTEST_S: Final[Mapping[PrivacyClass, int]] = {
    PrivacyClass.E: MINUTE_S,
    PrivacyClass.P1: QUARTER_S,
    PrivacyClass.P2: HOUR_S,
    PrivacyClass.DA: QUARTER_S,
    PrivacyClass.DB: DAY_S,
}
"""The shortest window of each class that is told by windows."""
_EXACT_S: Final[Mapping[PrivacyClass, int]] = {PrivacyClass.P2: HOUR_S, PrivacyClass.S: EVENT_S}
"""Classes that have one window alone: a noisy count is drawn once for its slot, and an event has no length."""


def window_fault(entry: Quantity, window_s: int) -> str | None:
    """What is wrong with a window of this quantity, wherever it was measured; None if nothing is."""
    least = entry.least_class
    exact_s = _EXACT_S.get(least)
    if exact_s is not None:
        return None if window_s == exact_s else f"{entry.id} is told in windows of {exact_s} s, not of {window_s}"
    shortest_s = SHORTEST_S.get(least)
    if shortest_s is None:
        return f"{entry.id} is never told"
    return (
        None
        if window_s >= shortest_s
        else f"{entry.id} is told in windows of {shortest_s} s or more, not of {window_s}"
    )
