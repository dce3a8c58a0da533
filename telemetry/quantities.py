"""The one vocabulary: what may be measured, in which unit, how finely, and how it is told on.

Names are Home Assistant device classes where one exists, units are UCUM codes (https://ucum.org/ucum).
The rows themselves stand in `telemetry.vocabulary`.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class PrivacyClass(enum.StrEnum):
    """What a value says about people, from nothing to everything; decides what may leave the school."""

    E = "E"
    """Environment: outdoors and plant rooms."""
    P1 = "P1"
    """Influenced by people: everything measured indoors."""
    P2 = "P2"
    """Derived from people: counts, seats in use."""
    DA = "D(a)"
    """Health of things nobody switches."""
    DB = "D(b)"
    """Health of things people switch: with a timetable, one teacher's record."""
    S = "S"
    """Safety: told at once."""
    X = "X"
    """Personal: refused at the parser."""


class Summarise(enum.StrEnum):
    """How the readings of one window become a summary."""

    MEAN = "mean"
    """A level: mean, minimum and maximum over cadence slots."""
    COUNTER = "counter"
    """A total that only rises: its increase, a reset counted from zero."""
    FLAG = "flag"
    """Yes or no: the share of cadence slots, in thousandths."""
    STATE = "state"
    """One of `states`: the last one."""
    EVENT = "event"
    """One of `states`: every change, at once."""
    COUNT = "count"
    """People: a noised value only."""
    NEVER = "never"
    """Understood, and never told on."""


_TEN_TO_THE: Final = tuple(10.0**decimals for decimals in range(10))


@dataclass(frozen=True, slots=True)
class Quantity:
    """One entry of the vocabulary.

    `minimum` and `maximum` bound what is plausible, in `unit`; a reading outside is rejected at admission.
    `decimals` is the resolution: all arithmetic is done in ticks, integers of 10**-decimals units.
    """

    id: str
    unit: str
    symbol: str
    decimals: int
    minimum: float
    maximum: float
    least_class: PrivacyClass
    summarise: Summarise
    name_zh: str
    name_en: str
    states: tuple[str, ...] = ()

    @property
    def ticks_per_unit(self) -> float:
        """10**decimals."""
        return _TEN_TO_THE[self.decimals]

    def to_ticks(self, value: float) -> int:
        """The value in ticks, halves rounded up. Raises OverflowError or ValueError for Inf and NaN."""
        return math.floor(value * _TEN_TO_THE[self.decimals] + 0.5)

    def to_value(self, ticks: int) -> float:
        """The value, in `unit`, that these ticks stand for."""
        return ticks / _TEN_TO_THE[self.decimals]

    def to_text(self, ticks: int) -> str:
        """The ticks as a decimal number with exactly `decimals` decimals: the same bytes at every replay."""
        if not self.decimals:
            return str(ticks)
        whole, part = divmod(abs(ticks), 10**self.decimals)
        return f"{'-' if ticks < 0 else ''}{whole}.{part:0{self.decimals}d}"

    def is_plausible(self, value: float) -> bool:
        """Whether a device could have measured this; false for NaN and the infinities."""
        return self.minimum <= value <= self.maximum

    def label(self, language: str) -> str:
        """The quantity's name in `zh` or `en`."""
        return self.name_zh if language == "zh" else self.name_en


def row_to_ticks(values: Sequence[float], columns: Iterable[tuple[int, float]]) -> list[int]:
    """What `Quantity.to_ticks` gives of some values of a row, each by its place and its quantity's `ticks_per_unit`."""
    floor = math.floor
    return [floor(values[place] * per_unit + 0.5) for place, per_unit in columns]
