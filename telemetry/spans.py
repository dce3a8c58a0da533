"""How windows are cut: by the clock, by the timetable, or by the day."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE_S: Final = 60
QUARTER_S: Final = 900
HOUR_S: Final = 3600
DAY_S: Final = 86_400


class Span(enum.StrEnum):
    """How the windows of a rule are cut, as a policy writes it."""

    MINUTE = "minute"
    QUARTER = "quarter"
    HOUR = "hour"
    TIMETABLE = "timetable"
    """A quarter of an hour in timetable hours, an hour outside them."""
    DAY = "day"


LENGTH_S: Final[Mapping[Span, int]] = {Span.MINUTE: MINUTE_S, Span.QUARTER: QUARTER_S, Span.HOUR: HOUR_S}
"""Of those that the clock alone cuts."""
SHORTEST_S: Final[Mapping[Span, int]] = {**LENGTH_S, Span.TIMETABLE: QUARTER_S, Span.DAY: DAY_S}
"""The shortest window that each span may cut."""
