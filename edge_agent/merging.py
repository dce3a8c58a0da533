"""Summaries put together over longer windows, where the disk has no room for all of them. Pure.

Only whole aligned groups: every summary of a series whose window lies in the longer one, and the longer one is over.
What is coarser than its privacy class asks for may always leave; the result is rounded as the class asks again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from edge_agent.transactions import NewSummary
from edge_agent.windows import rounded
from telemetry import Series, Summary, encode_fields, encode_series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from edge_agent.privacy.rules import Rule
    from edge_agent.transactions import Waiting

DAY_S: Final = 86_400
LONGER_S: Final[Mapping[int, int]] = {60: 900, 900: 3600, 3600: DAY_S}
"""What windows of each length are merged into; an event of safety has none."""


@dataclass(frozen=True, slots=True)
class MergeOrder:
    """How to merge."""

    most: int
    """How many summaries to look at, the oldest first."""
    horizon_ms: int
    """Longer windows that end later are left alone."""
    day_start: Callable[[int], int]
    """The local midnight at or before a moment, where days begin."""
    rule_of: Callable[[str, str], Rule | None]
    """The rule of a quantity of a device; None where the configuration no longer has it."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Several summaries that become one."""

    numbers: Sequence[int]
    merged: NewSummary


def merges(waiting: Iterable[tuple[Waiting, Summary]], order: MergeOrder) -> Iterator[Merge]:
    """The groups among these that are whole; each comes with what it says."""
    groups: dict[tuple[Series, int], list[tuple[int, Summary]]] = defaultdict(list)
    for each, summary in waiting:
        longer_s = LONGER_S.get(summary.series.window_s)
        if longer_s is not None:
            start_ms = _start(summary.start_ms, longer_s, order.day_start)
            groups[replace(summary.series, window_s=longer_s), start_ms].append((each.number, summary))
    for (series, start_ms), members in groups.items():
        rule = order.rule_of(series.device, series.quantity)
        if len(members) > 1 and start_ms + series.window_s * 1000 <= order.horizon_ms and rule is not None:
            merged = Summary(series, start_ms, rule.told(_fields([summary for _, summary in members])))
            yield Merge(
                [number for number, _ in members], NewSummary(encode_series(series), start_ms, encode_fields(merged))
            )


def _start(time_ms: int, length_s: int, day_start: Callable[[int], int]) -> int:
    return day_start(time_ms) if length_s == DAY_S else time_ms - time_ms % (length_s * 1000)


def _fields(summaries: Sequence[Summary]) -> dict[str, int]:
    """Each field over all of them: means weighed by their slots, extremes, sums, the last state."""
    in_order = sorted(summaries, key=lambda summary: summary.start_ms)
    weights = [summary.fields.get("n", 0) for summary in in_order]
    fields: dict[str, int] = {}
    for name in in_order[0].fields.keys() & set.intersection(*(set(summary.fields) for summary in in_order)):
        values = [summary.fields[name] for summary in in_order]
        match name:
            case "mean" | "on_permille":
                total = sum(value * weight for value, weight in zip(values, weights, strict=True))
                fields[name] = rounded(total, sum(weights)) if any(weights) else values[-1]
            case "min":
                fields[name] = min(values)
            case "max":
                fields[name] = max(values)
            case "last":
                fields[name] = values[-1]
            case _:
                fields[name] = sum(values)
    return fields
