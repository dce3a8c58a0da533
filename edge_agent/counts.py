"""Counters of the balance: what they count, and how they are gathered for one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class CountKey(NamedTuple):
    """What a counter counts: a stage of the balance, for which device, and why."""

    stage: str
    device: str = ""
    reason: str = ""


Counts: TypeAlias = Mapping[CountKey, int]
"""How much each counter rises; in readings, where a frame that gave none counts as one."""


class Tally:
    """Counts that are being gathered."""

    def __init__(self) -> None:
        self.counts: dict[CountKey, int] = {}
        """What was gathered."""

    def add(self, stage: str, number: int = 1, device: str = "", reason: str = "") -> None:
        """Raise one counter."""
        self.add_to(CountKey(stage, device, reason), number)

    def add_to(self, key: CountKey, number: int) -> None:
        """Raise a counter that is at hand."""
        if number:
            self.counts[key] = self.counts.get(key, 0) + number
