"""What each error code, reason and word of the balance means, in both languages; the tables stand beside this file.

A table is one TOML file for those who share who has to act. Nothing is imported for it, so that `bansui explain`
works wherever the command does; tests/bansui/test_explanations.py holds the tables to the error tree.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXIT_CODES: Final = {"configuration": 2, "environment": 3, "passing": 3, "contract": 1}
_KINDS: Final[Mapping[str, str]] = dict.fromkeys(_EXIT_CODES, "error") | {
    "rejections": "reason",
    "balance": "stage",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One word explained."""

    code: str
    table: str
    what: Mapping[str, str]
    why: Mapping[str, str]
    fix: Mapping[str, str]

    @property
    def kind(self) -> str:
        """`error`, `reason` (why a reading was rejected or withheld) or `stage` (a word of the balance)."""
        return _KINDS[self.table]

    @property
    def exit_code(self) -> int | None:
        """With what a command ends on this error; None for what ends no command."""
        return _EXIT_CODES.get(self.table)


@cache
def explanations() -> tuple[Explanation, ...]:
    """Every explanation: errors first, then reasons, then stages."""
    found: list[Explanation] = []
    for table in _KINDS:
        text = resources.files(__name__).joinpath(f"{table}.toml").read_text(encoding="utf-8")
        found += [Explanation(code, table, **parts) for code, parts in tomllib.loads(text).items()]
    return tuple(found)
