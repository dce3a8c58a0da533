"""A day of one quantity: lines for the chart, and the same numbers as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import AIR_ACT_PPM, AIR_QUANTITY
from cloud_sink.ranges import grid_lines
from cloud_sink.views import MAIN
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.ranges import GridLine
    from cloud_sink.wording import Wording
    from telemetry import Summary

STEP_S: Final = 900
MOST_LINES: Final = 6
"""Lines that can still be told apart; of more, the highest are drawn, and the table has them all."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: what it is of, its data for the script, and its table."""

    id: str
    title: str
    unit: str
    summary: str
    data: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def charts(
    summaries: Sequence[Summary], span: tuple[int, int], wording: Wording, *, by_room: bool = False
) -> list[Chart]:
    """A chart for each quantity there is, in the order of the main ones; a line for each device, or each room."""
    made = []
    for quantity_id in MAIN:
        told = [summary for summary in summaries if summary.series.quantity == quantity_id]
        if told:
            made.append(_chart(quantity_id, _lines(told, span, by_room=by_room), span, wording))
    return made


def _lines(told: Sequence[Summary], span: tuple[int, int], *, by_room: bool) -> list[tuple[str, GridLine]]:
    if not by_room:
        return [
            (f"{line.device}/{line.channel}" if line.channel else line.device, line)
            for line in grid_lines(told, *span, STEP_S)
        ]
    lines = []
    for room, group in groupby(told, key=lambda summary: summary.series.room):
        # Of several devices in a room the highest reading counts, as it does for the room's air.
        devices = grid_lines(list(group), *span, STEP_S)
        lines.append(
            (room.upper(), max(devices, key=lambda line: max((n for n in line.ticks if n is not None), default=0)))
        )
    return sorted(lines, key=lambda named: -max((n for n in named[1].ticks if n is not None), default=0))


def _chart(quantity_id: str, lines: list[tuple[str, GridLine]], span: tuple[int, int], wording: Wording) -> Chart:
    entry, text = quantity(quantity_id), wording.text
    drawn = lines[:MOST_LINES]
    known = [n for _, line in lines for n in line.ticks if n is not None]
    low, high = wording.ticks(quantity_id, min(known)), wording.ticks(quantity_id, max(known))
    data = {
        "from": span[0] // 1000,
        "step": STEP_S,
        "now": wording.now_ms // 1000,
        "decimals": entry.decimals,
        "unit": entry.symbol,
        "names": [name for name, _ in drawn],
        "values": [[None if n is None else entry.to_value(n) for n in line.ticks] for _, line in drawn],
        "limit": AIR_ACT_PPM if quantity_id == AIR_QUANTITY else None,
        "limitLabel": text("chart.limit"),
        "gapLabel": text("chart.gap"),
        "timeLabel": text("column.time"),
        "timezone": wording.timezone.key,
    }
    return Chart(
        id=quantity_id,
        title=entry.label(text.short),
        unit=entry.symbol,
        summary=text("chart.span", low=low, high=high),
        data=json.dumps(data, separators=(",", ":")),
        names=[name for name, _ in lines],
        rows=_rows(quantity_id, lines, span, wording),
    )


def _rows(
    quantity_id: str, lines: list[tuple[str, GridLine]], span: tuple[int, int], wording: Wording
) -> list[tuple[str, list[str]]]:
    blank = wording.text("worst.nothing")
    rows = []
    for index, ticks in enumerate(zip(*(line.ticks for _, line in lines), strict=True)):
        start_ms = span[0] + index * STEP_S * 1000
        if start_ms >= wording.now_ms:
            break
        cells = [blank if n is None else wording.ticks(quantity_id, n) for n in ticks]
        rows.append((f"{wording.local(start_ms):%H:%M}", cells))
    return rows
