"""Fault campaigns: one fault each, injected many times, and a count of what was lost and what was doubled.

A module of `tests.faults` that has `CAMPAIGNS` takes part: `make test` runs each campaign in its short version,
`make soak` (`python -m tests.faults --long --write`) in its long one, and writes the table of docs/reliability.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tests.faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a campaign came to."""

    tried: int
    """How many times the fault was injected."""
    lost: int
    """Acknowledged messages, readings or summaries that were gone afterwards."""
    doubled: int
    """Those that were there twice."""
    seen: str
    """What shows that the fault was real: readings, kills that hit, copies that were known."""
    broken: tuple[str, ...] = ()
    """Every other promise that did not hold, in words, with what replays it."""

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, nothing doubled and nothing else broken."""
        return not (self.lost or self.doubled or self.broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One fault, and how to inject it `count` times in an empty folder."""

    name: str
    fault: str
    """As the table says it."""
    short: int
    long: int
    run: Callable[[int, Path], Outcome]
    needs: str = ""
    """The mark of tests that need the same program, such as `mosquitto`, or the same right."""


def campaigns() -> list[Campaign]:
    """Every campaign there is, in the order of the modules' names."""
    found: list[Campaign] = []
    for module in pkgutil.iter_modules(tests.faults.__path__):
        if not module.name.startswith(("_", "test_")):
            found += getattr(importlib.import_module(f"tests.faults.{module.name}"), "CAMPAIGNS", [])
    return found
