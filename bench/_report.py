"""Figures as a table in bench/README.md and as a picture beside it, both written by the command that measured."""

from __future__ import annotations

import datetime as dt
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench._runs import Run

FOLDER: Final = Path(__file__).parent
_BEGIN: Final = "<!-- figures: written by `make bench` -->"
_END: Final = "<!-- end of figures -->"
_BAR: Final = 22
_WIDTH: Final = 760
_STYLE: Final = 'font-family="sans-serif" font-size="13" role="img" aria-label="Messages a second"'
_LEFT: Final = 300


@dataclass(frozen=True, slots=True)
class Figure:
    """A path, its peer in the same run, and the median of the ratios."""

    name: str
    peer_name: str
    ours: Run
    peer: Run
    ratio: float


def tell(figure: Figure) -> Figure:
    """Print one figure."""
    ours, peer = figure.ours, figure.peer
    print(
        f"  {figure.name:32} {ours.per_second:9,.0f}/s  {figure.ratio:5.2f} x {figure.peer_name}"
        f" ({peer.per_second:,.0f}/s)  {ours.cpu_us:5.1f} us CPU a message  {ours.rss_mb:4.0f} MB",
        flush=True,
    )
    return figure


def write(figures: Sequence[Figure]) -> None:
    """Put the figures into the README and the picture."""
    readme = FOLDER / "README.md"
    head, _, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    tail = rest.partition(_END)[2]
    table = "\n".join((_BEGIN, "", *_rows(figures), "", "![Messages a second](figures.svg)", "", _END))
    readme.write_text(f"{head}{table}{tail}", encoding="utf-8")
    (FOLDER / "figures.svg").write_text(_svg(figures), encoding="utf-8")


def _rows(figures: Sequence[Figure]) -> list[str]:
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {dt.datetime.now(dt.UTC):%Y-%m-%d}"
    rows = [
        f"Measured on {machine}; publishers, broker and agent share the cores; medians of interleaved runs.",
        "",
        "| path | messages/s | peer | peer's messages/s | ratio | CPU per message | peak memory |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for figure in figures:
        ours, peer = figure.ours, figure.peer
        rows.append(
            f"| {figure.name} | {ours.per_second:,.0f} | {figure.peer_name} | {peer.per_second:,.0f} "
            f"| **{figure.ratio:.2f}** | {ours.cpu_us:.0f} us | {ours.rss_mb:.0f} MB |"
        )
    return rows


def _svg(figures: Sequence[Figure]) -> str:
    """Two bars a figure: ours, and the peer's beneath it."""
    most = max(run.per_second for figure in figures for run in (figure.ours, figure.peer))
    height = len(figures) * 3 * _BAR + _BAR
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_STYLE}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fbfaf7"/>',
    ]
    for index, figure in enumerate(figures):
        top = _BAR // 2 + index * 3 * _BAR
        for row, (name, run, colour) in enumerate(
            ((figure.name, figure.ours, "#0b5cad"), (figure.peer_name, figure.peer, "#5d656e"))
        ):
            y = top + row * _BAR
            width = (_WIDTH - _LEFT - 90) * run.per_second / most
            lines.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end" fill="#1d2126">{name}</text>')
            lines.append(f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.0f}" height="{_BAR - 4}" fill="{colour}"/>')
            lines.append(
                f'<text x="{_LEFT + width + 6:.0f}" y="{y + 15}" fill="#1d2126">{run.per_second:,.0f}/s</text>'
            )
    return "\n".join((*lines, "</svg>", ""))
