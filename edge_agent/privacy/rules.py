"""What each class may tell: how long its windows are, which fields leave, and how coarse their values."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Rule:
    """How one series is told on."""

    quantity: Quantity
    privacy_class: PrivacyClass

    @property
    def is_withheld(self) -> bool:
        """Whether nothing of it leaves: P2 before its budget exists, and what is never told."""
        return self.privacy_class is PrivacyClass.P2 or self.quantity.summarise is Summarise.NEVER

    @property
    def is_event(self) -> bool:
        """Whether it is told at once."""
        return self.privacy_class is PrivacyClass.S

    def window_at(self, time_ms: int, timetable: CompiledTimetable) -> tuple[int, int]:
        """Start in milliseconds and length in seconds of the window that holds `time_ms`."""
        if self.privacy_class is PrivacyClass.DB:
            return timetable.timetable.day_start(time_ms), DAY_S
        if self.quantity.id in _HOURLY and self.privacy_class is not PrivacyClass.E:
            length_s = HOUR_S
        elif self.privacy_class is PrivacyClass.P1:
            return timetable.window_at(time_ms)
        else:
            length_s = MINUTE_S if self.privacy_class is PrivacyClass.E else QUARTER_S
        return time_ms - time_ms % (length_s * 1000), length_s

    def told(self, fields: Mapping[str, int]) -> dict[str, int]:
        """Of a window's fields, those that may leave, as coarse as they must be."""
        allowed = _TOLD[self.privacy_class] & FIELDS_OF[self.quantity.summarise]
        return {name: self._coarsen(name, number) for name, number in fields.items() if name in allowed}

    def _coarsen(self, name: str, number: int) -> int:
        if self.privacy_class is PrivacyClass.P1 and name == "mean":
            step = _STEPS.get(self.quantity.id)
            return number if step is None else nearest(number, self.quantity.to_ticks(step))
        if self.privacy_class is PrivacyClass.DB and name == "on_permille":
            half_hours = (number * HALF_HOURS_A_DAY + 500) // 1000
            return (half_hours * 1000 + HALF_HOURS_A_DAY // 2) // HALF_HOURS_A_DAY
        return number


def nearest(number: int, step: int) -> int:
    """The multiple of `step` nearest to `number`, halves upwards."""
    return (2 * number + step) // (2 * step) * step
