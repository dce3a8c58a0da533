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
        self._numbers: dict[tuple[str, str, str], int] = {}

    @property
    def counts(self) -> Counts:
        """What was gathered."""
        return {CountKey(*key): number for key, number in self._numbers.items()}

    def add(self, stage: str, number: int = 1, device: str = "", reason: str = "") -> None:
        """Raise one counter."""
        if number:
            key = (stage, device, reason)
            self._numbers[key] = self._numbers.get(key, 0) + number
