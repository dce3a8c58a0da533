"""Small lines without axes, as SVG path data in a box of 100 by 24: the shape of a day beside its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 100
HEIGHT: Final = 24


def sparkline(values: Sequence[float | None], low: float, high: float) -> str:
    """A stepped line over the whole width, broken where there is no value; empty when there are fewer than two."""
    if len(values) < 2:
        return ""
    across, parts, is_drawing = WIDTH / len(values), [], False
    for index, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        height = level(value, low, high)
        left, right = round(index * across, 1), round((index + 1) * across, 1)
        parts.append(f"{'V' if is_drawing else f'M{left:g} '}{height:g}H{right:g}")
        is_drawing = True
    return "".join(parts)


def level(value: float, low: float, high: float) -> float:
    """How far down the box a value lies; the line keeps a little off both edges."""
    share = (min(max(value, low), high) - low) / (high - low) if high > low else 0
    return round(HEIGHT - 1.5 - share * (HEIGHT - 3), 1)
