"""Readings as they are admitted, and summaries: what a series was over one window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry.quantities import Summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

MEASURED_FIELDS: Final = ("mean", "min", "max", "delta", "last", "value", "error95")
"""Fields in the quantity's unit, carried as ticks and written with exactly its decimals."""
COUNT_FIELDS: Final = ("on_permille", "band", "n", "expected")
"""Fields that are integers by nature."""
FIELDS: Final = MEASURED_FIELDS + COUNT_FIELDS
"""Every field a summary may have, in the order they are written."""
FIELDS_OF: Final[Mapping[Summarise, frozenset[str]]] = {
    Summarise.MEAN: frozenset({"mean", "min", "max", "n", "expected"}),
    Summarise.COUNTER: frozenset({"delta", "n", "expected"}),
    Summarise.FLAG: frozenset({"on_permille", "n", "expected"}),
    Summarise.STATE: frozenset({"last", "max", "on_permille", "n", "expected"}),
    Summarise.EVENT: frozenset({"last"}),
    Summarise.COUNT: frozenset({"value", "error95", "band"}),
    Summarise.NEVER: frozenset(),
}
"""Which fields a summary of each kind of quantity may have."""
REQUIRED_OF: Final[Mapping[Summarise, frozenset[str]]] = {
    kind: fields if kind is Summarise.COUNT else frozenset() for kind, fields in FIELDS_OF.items()
}
"""Which of these none may be without: a count of people is never told without its error."""
LONGEST_WINDOW_S: Final = 86_400


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """What a summary is of: everything of its identity but the time."""

    quantity: str
    school: str
    building: str
    room: str
    device: str
    window_s: int
    channel: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """One series over the window [start, start + window_s), stamped with its start.

    `fields` holds integers: ticks for `MEASURED_FIELDS`, counts for the others.
    """

    series: Series
    start_ms: int
    fields: Mapping[str, int]

    @property
    def end_ms(self) -> int:
        """The first millisecond after the window."""
        return self.start_ms + self.series.window_s * 1000
