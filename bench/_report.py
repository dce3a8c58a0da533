"""What a measurement came to, as a table of its own in bench/README.md, with a picture where one says more.

Each measurement has its part there, between `<!-- NAME: written by make bench -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = Path(__file__).parent
README: Final = FOLDER / "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A table, what has to be said of this very run, and a picture."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    picture: str = ""
    """An SVG document."""
    caption: str = ""
    """What it shows."""

    def as_markdown(self, name: str, others: float) -> str:
        """As it stands in the README; the first column is text, all others are numbers. `others` is the share of the
        machine that something else took.
        """
        rules = ["---", *("---:" for _ in self.columns[1:])]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.columns, rules, *self.rows)]
        text = [
            f"Measured on {machine()}; other work took {others:.0%} of the machine meanwhile.",
            "\n".join(lines),
            *self.notes,
        ]
        if self.picture:
            text.append(f"![{self.caption}]({name}.svg)")
        return "\n\n".join(text)


def machine() -> str:
    """What was measured on, and when."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {dt.datetime.now(dt.UTC):%Y-%m-%d}"


def tell(part: Part) -> None:
    """Print it, in columns."""
    rows = [part.columns, *part.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(part.columns))]
    for row in rows:
        first, *others = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ", first.strip().ljust(widths[0]), *others, flush=True)
    for note in part.notes:
        print(f"   {note}", flush=True)


def write(name: str, part: Part, others: float) -> None:
    """Put it into the README, and its picture beside it; `others` as above."""
    found = re.compile(rf"(<!-- {name}: written by make bench -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    text, count = found.subn(
        lambda match: f"{match[1]}\n{part.as_markdown(name, others)}\n\n{match[2]}", README.read_text(encoding="utf-8")
    )
    if count != 1:
        raise SystemExit(f"{README} has no part for {name}")
    README.write_text(text, encoding="utf-8")
    if part.picture:
        (FOLDER / f"{name}.svg").write_text(part.picture, encoding="utf-8")
