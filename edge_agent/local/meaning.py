"""What a line says, in words: the quantity, the room, the time and the numbers with their units."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from edge_agent.privacy.people import CAMPUS_PLACE
from telemetry import FIELDS, quantity
from telemetry.summaries import MEASURED_FIELDS

if TYPE_CHECKING:
    import zoneinfo

    from edge_agent.local.words import Words
    from telemetry import Quantity, Summary

THIN: Final = "\N{NARROW NO-BREAK SPACE}"
_SLOTS: Final = frozenset({"n", "expected"})


def meaning(summary: Summary, words: Words, zone: zoneinfo.ZoneInfo) -> str:
    """The line of a summary in a sentence."""
    entry, series = quantity(summary.series.quantity), summary.series
    begin, end = (clock(time_ms, zone) for time_ms in (summary.start_ms, summary.end_ms))
    told = [
        words("today.field", field=words(f"field.{name}"), value=_value(entry, name, summary.fields[name], words))
        for name in FIELDS
        if name in summary.fields and name not in _SLOTS
    ]
    if summary.fields.keys() >= _SLOTS:
        told.append(words("today.slots", n=summary.fields["n"], expected=summary.fields["expected"]))
    return words(
        "today.line.meaning",
        quantity=entry.label(words.language),
        room=words("today.campus") if series.room == CAMPUS_PLACE else series.room.upper(),
        span=begin if entry.summarise == "event" else f"{begin}\N{EN DASH}{end}",
        fields=words.joined(told),
    )


def clock(time_ms: int, zone: zoneinfo.ZoneInfo) -> str:
    """Hours and minutes in the school's time."""
    return f"{dt.datetime.fromtimestamp(time_ms / 1000, zone):%H:%M}"


def grouped(number: int) -> str:
    """A whole number with thin spaces, at which no line ends, between its thousands."""
    return f"{number:,}".replace(",", THIN)


def _value(entry: Quantity, name: str, number: int, words: Words) -> str:
    if name in ("last", "max") and entry.states:
        return words(f"state.{entry.states[number]}")
    if name == "on_permille":
        return f"{number / 10:.1f}{THIN}%"
    if name in MEASURED_FIELDS:
        return f"{entry.to_text(number)}{THIN if entry.symbol else ''}{entry.symbol}"
    return str(number)
