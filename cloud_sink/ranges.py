"""Windows laid on a regular grid, so that what is missing shows as missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from telemetry import ContractViolation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from telemetry import Summary

MOST_STEPS: Final = 5000
VALUE_FIELDS: Final = ("mean", "value", "delta", "on_permille", "last")
"""The fields that can stand for a window in one number, the first that is there is taken."""


class RangeFault(ContractViolation):
    """A span that ends before it begins, or has more steps than one answer may have, or none."""

    code = "range"


@dataclass(slots=True)
class GridLine:
    """One device's channel on the grid: per step a number in ticks, or None where no window lies.

    A window longer than the step fills every step it covers, and `window_s` says so; windows shorter than the step
    are averaged by their `n`; a counter's increases are summed, and of states the last one stands.
    """

    device: str
    channel: str
    ticks: list[int | None]
    window_s: list[int | None]
    low: list[int | None] = field(default_factory=list)
    high: list[int | None] = field(default_factory=list)


def grid_lines(summaries: Sequence[Summary], from_ms: int, to_ms: int, step_s: int) -> list[GridLine]:
    """Lay the windows of one quantity, sorted by series, on the steps of [from, to). Raises `RangeFault`."""
    steps = count_steps(from_ms, to_ms, step_s)
    groups = groupby(summaries, key=lambda summary: (summary.series.device, summary.series.channel))
    return [_line(key, group, from_ms, step_s * 1000, steps) for key, group in groups]


def check_order(from_ms: int, to_ms: int) -> None:
    """Raise `RangeFault` for a span that ends before it begins."""
    if to_ms < from_ms:
        raise RangeFault(f"the span ends at {to_ms}, before it begins at {from_ms}", fix="exchange them")


def count_steps(from_ms: int, to_ms: int, step_s: int) -> int:
    """How many steps a span has. Raises `RangeFault`."""
    check_order(from_ms, to_ms)
    steps = -(-(to_ms - from_ms) // (step_s * 1000))
    if not 1 <= steps <= MOST_STEPS:
        raise RangeFault(f"the span has {steps} steps of {step_s} s", fix=f"ask for 1 to {MOST_STEPS} steps")
    return steps


def value_of(summary: Summary) -> tuple[str, int] | None:
    """The field that stands for the window, and its number."""
    for name in VALUE_FIELDS:
        if name in summary.fields:
            return name, summary.fields[name]
    return None


def _line(key: tuple[str, str], summaries: Iterable[Summary], from_ms: int, step_ms: int, steps: int) -> GridLine:
    cells: list[list[Summary]] = [[] for _ in range(steps)]
    for summary in summaries:
        first = max(0, (summary.start_ms - from_ms) // step_ms)
        last = min(steps - 1, (summary.end_ms - 1 - from_ms) // step_ms)
        if summary.end_ms - summary.start_ms <= step_ms:
            last = min(first, last)  # a window that is not on the grid counts where it begins
        for index in range(first, last + 1):
            cells[index].append(summary)
    line = GridLine(*key, [], [])
    for cell in cells:
        finest = min((summary.series.window_s for summary in cell), default=None)
        told = [summary for summary in cell if summary.series.window_s == finest]
        line.ticks.append(_combine(told))
        line.window_s.append(finest)
        line.low.append(min((s.fields["min"] for s in told if "min" in s.fields), default=None))
        line.high.append(max((s.fields["max"] for s in told if "max" in s.fields), default=None))
    return line


def _combine(summaries: Sequence[Summary]) -> int | None:
    total, weight = 0, 0
    for summary in summaries:
        told = value_of(summary)
        if told is None:
            continue
        name, number = told
        if name == "delta":
            total, weight = total + number, 1
        elif name == "last":
            total, weight = number, 1
        else:
            filled = max(1, summary.fields.get("n", 1))
            total, weight = total + number * filled, weight + filled
    return (2 * total + weight) // (2 * weight) if weight else None
