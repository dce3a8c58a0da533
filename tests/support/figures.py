"""A table in a document whose rows commands write, each its own: what ran replaces its row and no other."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ROW: Final = re.compile(r"^\| .* (\S+)` \|\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Figures:
    """The table between `<!-- figures: written by `COMMAND` -->` and `<!-- end of figures -->`.

    A row ends with the command that wrote it, in backticks, and that with the row's name.
    """

    written_by: str
    columns: Sequence[str]
    """With the rule below the head: `name:` for one that is aligned to the right."""

    def put(self, document: Path, name: str, cells: Sequence[str], order: Sequence[str]) -> None:
        """Write a row into the document; rows of others in `order` stay."""
        document.write_text(self.with_row(document.read_text(), name, cells, order))

    def with_row(self, text: str, name: str, cells: Sequence[str], order: Sequence[str]) -> str:
        """The text with this row, and the rows it had of the others in `order`."""
        line = " | ".join(cells)
        row = f"| {''.join(each if each.isprintable() else '?' for each in line)} |\n"
        part = re.compile(
            rf"(<!-- figures: written by {re.escape(self.written_by)} -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL
        )

        def table(match: re.Match[str]) -> str:
            kept = {found[1]: found[0] for found in _ROW.finditer(match[2])} | {name: row}
            lines = "".join(kept[each] for each in order if each in kept)
            return f"{match[1]}\n{self._head()}{lines}\n{match[3]}"

        return part.sub(table, text)

    def _head(self) -> str:
        names = " | ".join(column.removesuffix(":") for column in self.columns)
        rule = "|".join("---:" if column.endswith(":") else "---" for column in self.columns)
        return f"| {names} |\n|{rule}|\n"


def measured(seconds: float) -> str:
    """How long it took, when, and on what."""
    today, python = dt.datetime.now(dt.UTC), platform.python_version()
    return f"{seconds:,.0f} s, {today:%Y-%m-%d}, {os.cpu_count()} cores, Python {python}"
