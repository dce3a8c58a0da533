"""What each class may tell: how long its windows are, which fields leave, and how coarse their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry import FIELDS, FIELDS_OF, Placement, PrivacyClass, Summarise
from telemetry.policy import RoomTable
from telemetry.spans import DAY_S, LENGTH_S, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.timetable import CompiledTimetable
    from telemetry import Quantity
    from telemetry.policy import Policy, ToldTable

HALF_HOURS_A_DAY: Final = 48
_COUNTED: Final = frozenset({"n", "expected"})
"""Of how many slots a window was made: told of every class."""


class Rule:
    """How one series is told on. What is asked for every reading is worked out once."""

    __slots__ = (
        "_step",
        "_told",
        "in_hours_only",
        "is_counted",
        "is_event",
        "is_withheld",
        "privacy_class",
        "quantity",
        "span",
        "step",
        "told_fields",
    )

    def __init__(
        self,
        quantity: Quantity,
        privacy_class: PrivacyClass,
        policy: Policy,
        placement: Placement = Placement.INDOOR,
    ) -> None:
        self.quantity = quantity
        self.privacy_class = privacy_class
        self.is_withheld = privacy_class is PrivacyClass.P2 or quantity.summarise is Summarise.NEVER
        """Whether nothing of it leaves by itself: people counts, and what is never told."""
        is_count = privacy_class is PrivacyClass.P2 and quantity.summarise is Summarise.COUNT
        self.is_counted = is_count and policy.tables.P2.export != "none"
        """Whether it is part of a count of people that leaves with noise."""
        self.is_event = privacy_class is PrivacyClass.S
        """Whether it is told at once."""
        table = policy.told(privacy_class)
        hourly = table is not None and quantity.id in table.hourly
        self.span = Span.QUARTER if table is None else Span.HOUR if hourly else table.window
        self.in_hours_only = placement is Placement.INDOOR and self.span is not Span.DAY and _is_hidden(quantity, table)
        """Whether its windows are told where they touch timetable hours, and no others: in an empty building every
        number tells of the one person in it."""
        fields = FIELDS_OF[quantity.summarise]
        self._told = frozenset[str]() if table is None else (_COUNTED | set(table.fields)) & fields
        self.told_fields = tuple(name for name in FIELDS if name in self._told)
        """Of a window, what leaves."""
        self.step = None if table is None else table.steps.get(quantity.id)
        """To how many of the quantity's units its mean is rounded."""
        self._step = None if self.step is None else quantity.to_ticks(self.step)

    def window_at(self, time_ms: int, timetable: CompiledTimetable) -> tuple[int, int]:
        """Start in milliseconds and length in seconds of the window that holds `time_ms`."""
        if self.span is Span.TIMETABLE:
            return timetable.window_at(time_ms)
        if self.span is Span.DAY:
            return timetable.timetable.day_start(time_ms), DAY_S
        length_s = LENGTH_S[self.span]
        return time_ms - time_ms % (length_s * 1000), length_s

    def told(self, fields: Mapping[str, int]) -> dict[str, int]:
        """Of a window's fields, those that may leave, as coarse as they must be."""
        told = {name: self._coarsen(name, number) for name, number in fields.items() if name in self._told}
        if self.privacy_class is PrivacyClass.DB and "n" in told:
            # many a device is heard while it is on, and no longer
            told["n"] = max(1, _half_hours_of(told["n"], told["expected"]))
        return told

    def _coarsen(self, name: str, number: int) -> int:
        if self._step is not None and name == "mean":
            return nearest(number, self._step)
        if self.privacy_class is PrivacyClass.DB and name == "delta" and self.quantity.unit == "h":
            return nearest(number, self.quantity.to_ticks(0.5))
        if self.privacy_class is PrivacyClass.DB and name == "on_permille":
            return _half_hours_of(number, 1000)
        return number


def _half_hours_of(number: int, whole: int) -> int:
    """A part of a day's `whole`, to half hours of the day."""
    half_hours = (2 * number * HALF_HOURS_A_DAY + whole) // (2 * whole)
    return (half_hours * whole + HALF_HOURS_A_DAY // 2) // HALF_HOURS_A_DAY


def _is_hidden(quantity: Quantity, table: ToldTable | None) -> bool:
    """Whether the policy does not name it among what is told outside timetable hours."""
    if not isinstance(table, RoomTable) or table.outside_hours == "all":
        return False
    return quantity.id not in table.outside_hours


def nearest(number: int, step: int) -> int:
    """The multiple of `step` nearest to `number`, halves upwards."""
    return (2 * number + step) // (2 * step) * step
