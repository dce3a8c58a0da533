"""Proofs of privacy: a claim, an attack on it, and a control that the attack must win.

A module of `tests.privacy` that has `PROOFS` takes part: `make test` runs each in its short version, `make
privacy-proof` (`python -m tests.privacy --long --write`) in its long one, and writes the tables of docs/privacy.md and
docs/privacy.zh-CN.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tests.privacy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """What a proof came to."""

    tried: int
    seen: str
    """Its figures, the control's among them."""
    broken: tuple[str, ...] = ()
    """What did not hold, in words, with what shows it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One claim, and how to attack it `count` times in an empty folder."""

    name: str
    claim_en: str
    claim_zh: str
    short: int
    long: int
    run: Callable[[int, Path], Result]


def proofs() -> list[Proof]:
    """Every proof there is, in the order of the modules' names."""
    found: list[Proof] = []
    for module in pkgutil.iter_modules(tests.privacy.__path__):
        if not module.name.startswith(("_", "test_")):
            found += getattr(importlib.import_module(f"tests.privacy.{module.name}"), "PROOFS", [])
    return found
