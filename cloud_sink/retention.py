"""How long the centre keeps what it was told: as the policy says of each class, and not a day longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry import PrivacyClass, quantities
from telemetry.spans import DAY_S, QUARTER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemetry import Quantity
    from telemetry.policy import Policy

_ANY: Final = (0, DAY_S)
_DAY_MS: Final = DAY_S * 1000
AHEAD_MS: Final = _DAY_MS
"""How far the centre's clock may be ahead of all that agents told before nothing is deleted by it."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Summaries whose time is over: of these quantities, in windows from `shortest_s` to `longest_s`, that start
    before `before_ms`."""

    quantities: Sequence[str]
    shortest_s: int
    longest_s: int
    before_ms: int


def expiries(policy: Policy, now_ms: int) -> list[Expiry]:
    """What is to be forgotten now.

    A summary does not say its class, but its quantity and window do: what is told outdoors by the minute is told
    indoors by the quarter of an hour and more, and a device that people switch by the day.
    """
    found = []
    for least, span, privacy_class in _kinds():
        table = policy.table(privacy_class)
        names = [entry.id for entry in quantities() if entry.least_class is least]
        if table is not None and names:
            found.append(Expiry(names, *span, now_ms - table.retention_days * _DAY_MS))
    return found


def is_ahead(now_ms: int, told_ms: int | None) -> bool:
    """Whether the centre's clock is further ahead than is believed of what agents told last; None where they told
    nothing.

    By a clock that is wrong by a year everything would be too old, and what is deleted does not come back. Agents that
    are all silent look the same from here.
    """
    return told_ms is not None and now_ms - told_ms > AHEAD_MS


def told_class(entry: Quantity, window_s: int) -> PrivacyClass:
    """The class of a summary, as far as its quantity and window say it."""
    return next(
        told
        for least, (shortest_s, longest_s), told in _kinds()
        if least is entry.least_class and shortest_s <= window_s <= longest_s
    )


def _kinds() -> Iterator[tuple[PrivacyClass, tuple[int, int], PrivacyClass]]:
    yield PrivacyClass.E, (0, QUARTER_S - 1), PrivacyClass.E
    yield PrivacyClass.E, (QUARTER_S, DAY_S), PrivacyClass.P1
    yield PrivacyClass.P1, _ANY, PrivacyClass.P1
    yield PrivacyClass.P2, _ANY, PrivacyClass.P2
    yield PrivacyClass.DA, (0, DAY_S - 1), PrivacyClass.DA
    yield PrivacyClass.DA, (DAY_S, DAY_S), PrivacyClass.DB
    yield PrivacyClass.DB, _ANY, PrivacyClass.DB
    yield PrivacyClass.S, _ANY, PrivacyClass.S
