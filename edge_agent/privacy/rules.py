"""What each class may tell: how long its windows are, which fields leave, and how coarse their values."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from telemetry import FIELDS_OF, PrivacyClass, Summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.timetable import CompiledTimetable
    from telemetry import Quantity

MINUTE_S: Final = 60
QUARTER_S: Final = 900
HOUR_S: Final = 3600
DAY_S: Final = 86_400
HALF_HOURS_A_DAY: Final = 48

_HOURLY: Final = frozenset({"power", "apparent_power", "reactive_power", "power_factor", "energy", "current", "fault"})
"""Room electricity by the lesson is a record of the lesson; faults need no finer time."""
_STEPS: Final[Mapping[str, float]] = {"carbon_dioxide": 50, "sound_pressure": 1}
"""Steps, in the quantity's unit, to which class P1 is rounded."""
_TOLD: Final[Mapping[PrivacyClass, frozenset[str]]] = {
    PrivacyClass.E: frozenset({"mean", "min", "max", "delta", "last", "on_permille", "n", "expected"}),
    PrivacyClass.P1: frozenset({"mean", "delta", "on_permille", "n", "expected"}),
    PrivacyClass.DA: frozenset({"mean", "delta", "max", "last", "on_permille", "n", "expected"}),
    PrivacyClass.DB: frozenset({"mean", "delta", "max", "on_permille", "n", "expected"}),
}


class Span(enum.IntEnum):
    """How the windows of a rule are cut."""

    MINUTE = enum.auto()
    QUARTER = enum.auto()
    HOUR = enum.auto()
    TIMETABLE = enum.auto()
    DAY = enum.auto()


_LENGTH_S: Final[Mapping[Span, int]] = {Span.MINUTE: MINUTE_S, Span.QUARTER: QUARTER_S, Span.HOUR: HOUR_S}
SHORTEST_S: Final[Mapping[Span, int]] = {**_LENGTH_S, Span.TIMETABLE: QUARTER_S, Span.DAY: DAY_S}
"""The shortest window that each span may cut."""
_SPANS: Final[Mapping[PrivacyClass, Span]] = {
    PrivacyClass.E: Span.MINUTE,
    PrivacyClass.P1: Span.TIMETABLE,
    PrivacyClass.DA: Span.QUARTER,
    PrivacyClass.DB: Span.DAY,
}


class Rule:
    """How one series is told on. What is asked for every reading is worked out once."""

    __slots__ = ("is_event", "is_withheld", "privacy_class", "quantity", "span")

    def __init__(self, quantity: Quantity, privacy_class: PrivacyClass) -> None:
        self.quantity = quantity
        self.privacy_class = privacy_class
        self.is_withheld = privacy_class is PrivacyClass.P2 or quantity.summarise is Summarise.NEVER
        """Whether nothing of it leaves: P2 before its budget exists, and what is never told."""
        self.is_event = privacy_class is PrivacyClass.S
        """Whether it is told at once."""
        hourly = quantity.id in _HOURLY and privacy_class in (PrivacyClass.P1, PrivacyClass.DA)
        self.span = Span.HOUR if hourly else _SPANS.get(privacy_class, Span.QUARTER)

    def window_at(self, time_ms: int, timetable: CompiledTimetable) -> tuple[int, int]:
        """Start in milliseconds and length in seconds of the window that holds `time_ms`."""
        if self.span is Span.TIMETABLE:
            return timetable.window_at(time_ms)
        if self.span is Span.DAY:
            return timetable.timetable.day_start(time_ms), DAY_S
        length_s = _LENGTH_S[self.span]
        return time_ms - time_ms % (length_s * 1000), length_s

    def told(self, fields: Mapping[str, int]) -> dict[str, int]:
        """Of a window's fields, those that may leave, as coarse as they must be."""
        allowed = _TOLD[self.privacy_class] & FIELDS_OF[self.quantity.summarise]
        return {name: self._coarsen(name, number) for name, number in fields.items() if name in allowed}

    def _coarsen(self, name: str, number: int) -> int:
        if self.privacy_class is PrivacyClass.P1 and name == "mean":
            step = _STEPS.get(self.quantity.id)
            return number if step is None else nearest(number, self.quantity.to_ticks(step))
        if self.privacy_class is PrivacyClass.DB and name == "delta" and self.quantity.unit == "h":
            return nearest(number, self.quantity.to_ticks(0.5))
        if self.privacy_class is PrivacyClass.DB and name == "on_permille":
            half_hours = (number * HALF_HOURS_A_DAY + 500) // 1000
            return (half_hours * 1000 + HALF_HOURS_A_DAY // 2) // HALF_HOURS_A_DAY
        return number


def nearest(number: int, step: int) -> int:
    """The multiple of `step` nearest to `number`, halves upwards."""
    return (2 * number + step) // (2 * step) * step
