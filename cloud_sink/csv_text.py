"""Windows as a table that a spreadsheet opens (RFC 4180)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloud_sink.ranges import value_of
from telemetry import quantity
from telemetry.summaries import MEASURED_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from telemetry import Summary


def csv_of(summaries: Iterable[Summary], timezone: ZoneInfo) -> str:
    """A row for each window: its start with the offset of the zone, its length, device, number, unit and coverage."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("start", "window_s", "device", "channel", "quantity", "field", "value", "unit", "n", "expected"))
    for summary in summaries:
        series, entry = summary.series, quantity(summary.series.quantity)
        start = datetime.fromtimestamp(summary.start_ms / 1000, UTC).astimezone(timezone)
        name, number = value_of(summary) or ("", None)
        is_measured = number is not None and name in MEASURED_FIELDS
        value = entry.to_text(number) if is_measured and number is not None else number
        place = (start.isoformat(), series.window_s, series.device, series.channel, entry.id)
        unit = entry.symbol if is_measured else ""
        rows.writerow((*place, name, value, unit, summary.fields.get("n"), summary.fields.get("expected")))
    return out.getvalue()
