"""What left a school on one day, in words: of each quantity how much, how coarse, for what, and what a line says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.retention import told_class
from telemetry import encode, quantity
from telemetry.summaries import FIELDS, MEASURED_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.store import Left
    from cloud_sink.wording import Wording
    from telemetry import Summary
    from telemetry.policy import Policy

CAMPUS: Final = "all"
"""In place of a room, of what is told of the whole campus."""


@dataclass(frozen=True, slots=True)
class LeftView:
    """What is told of one quantity in windows of one length."""

    label: str
    window: str
    summaries: str
    devices: str
    bytes: str
    fields: str
    purpose: str
    line: str
    """One of its lines, byte for byte."""
    meaning: str
    """The same line in a sentence."""


def left_views(found: Sequence[Left], policy: Policy, wording: Wording) -> list[LeftView]:
    """The most frequent first."""
    return [_view(each, policy, wording) for each in sorted(found, key=lambda each: -each.summaries)]


def _view(left: Left, policy: Policy, wording: Wording) -> LeftView:
    text, series = wording.text, left.last.series
    entry = quantity(series.quantity)
    table = policy.table(told_class(entry, series.window_s))
    purpose = ""
    if table is not None:
        recipients = text("list.comma").join(text(f"recipient.{each}") for each in table.recipients)
        purpose = text(
            "left.purpose",
            purpose=table.purpose.text(text.short),
            recipients=recipients or text("recipient.none"),
            days=table.retention_days,
        )
    return LeftView(
        label=entry.label(text.short),
        window=text("left.at_once") if entry.summarise == "event" else wording.window(series.window_s),
        summaries=wording.grouped(left.summaries),
        devices=wording.grouped(left.devices),
        bytes=wording.grouped(left.bytes),
        fields=text("list.comma").join(text(f"field.{name}") for name in left.fields if name not in ("n", "expected")),
        purpose=purpose,
        line=encode(left.last),
        meaning=_meaning(left.last, wording),
    )


def _meaning(summary: Summary, wording: Wording) -> str:
    text, fields = wording.text, summary.fields
    entry = quantity(summary.series.quantity)
    told = []
    for name in FIELDS:
        if name not in fields or name in ("n", "expected"):
            continue
        number = fields[name]
        if name in ("last", "max") and entry.states:
            value = text(f"value.{entry.states[number]}")
        elif name == "on_permille":
            value = text("share", p=f"{number / 10:.1f}")
        else:
            value = wording.ticks(entry.id, number) if name in MEASURED_FIELDS else str(number)
        told.append(f"{text(f'field.{name}')} {value}")
    if "n" in fields and "expected" in fields:
        told.append(text("left.slots", n=fields["n"], expected=fields["expected"]))
    is_event = entry.summarise == "event"
    begin = wording.clock(summary.start_ms)
    return text(
        "left.meaning",
        room=text("campus") if summary.series.room == CAMPUS else summary.series.room.upper(),
        span=begin if is_event else f"{begin}\N{EN DASH}{wording.clock(summary.end_ms)}",
        fields=text("list.comma").join(told),
    )
