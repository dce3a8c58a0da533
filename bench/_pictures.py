"""Pictures of figures, as SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS: Final = "#0b5cad"
PEER: Final = "#5d656e"
_INK: Final = "#1d2126"
_WIDTH: Final = 760
_BAR: Final = 22
_LEFT: Final = 330
_PLOT: Final = 260
_MARGIN: Final = 70


def _document(height: int, label: str, lines: Sequence[str]) -> str:
    style = f'font-family="sans-serif" font-size="13" role="img" aria-label="{label}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {style}>'
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="#fbfaf7"/>'
    return "\n".join((head, ground, *lines, "</svg>", ""))


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{_INK}">{text}</text>'


def bars(label: str, groups: Sequence[Sequence[tuple[str, float, str]]]) -> str:
    """Groups of horizontal bars, each with its name, its value and its colour; a value is written behind its bar."""
    most = max(value for group in groups for _, value, _ in group)
    lines, top = [], _BAR // 2
    for group in groups:
        for name, value, colour in group:
            width = (_WIDTH - _LEFT - 90) * value / most
            lines.append(_text(_LEFT - 8, top + 15, name, "end"))
            lines.append(f'<rect x="{_LEFT}" y="{top + 2}" width="{width:.0f}" height="{_BAR - 4}" fill="{colour}"/>')
            lines.append(_text(_LEFT + width + 6, top + 15, f"{value:,.0f}"))
            top += _BAR
        top += _BAR
    return _document(top - _BAR // 2, label, lines)


def curve(label: str, across: str, up: str, points: Sequence[tuple[float, float]]) -> str:
    """A curve over a logarithmic axis; `up` names the upright axis, which begins at zero."""
    least, most = math.log10(points[0][0]), math.log10(points[-1][0])
    highest = max(value for _, value in points) * 1.2
    bottom, right = 30 + _PLOT, _WIDTH - 30
    places = [
        (_MARGIN + (math.log10(at) - least) / (most - least) * (right - _MARGIN), bottom - value / highest * _PLOT)
        for at, value in points
    ]
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in places)
    lines = [
        f'<path d="M{_MARGIN} 30V{bottom}H{right}" fill="none" stroke="{_INK}"/>',
        _text(_MARGIN - 50, 20, up),
        _text(right, bottom + 40, across, "end"),
        f'<polyline points="{path}" fill="none" stroke="{OURS}" stroke-width="2"/>',
    ]
    for (x, y), (at, value) in zip(places, points, strict=True):
        lines.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{OURS}"/>')
        lines.append(_text(x, y - 12, f"{value:.1f}", "middle"))
        lines.append(_text(x, bottom + 20, f"{at:,.0f}", "middle"))
    return _document(bottom + 55, label, lines)
