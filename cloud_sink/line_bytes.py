"""How many bytes a stored summary had as a line, in SQL: one summary has one text, so its length follows from it."""

from __future__ import annotations

from typing import Final

from telemetry import quantities
from telemetry.summaries import COUNT_FIELDS, FIELDS


def _decimals() -> str:
    cases = "".join(f" WHEN '{entry.id}' THEN {entry.decimals}" for entry in quantities() if entry.decimals)
    return f"(CASE quantity{cases} ELSE 0 END)"


def _field(name: str) -> str:
    """With its comma, or the blank before the first; 0 where the summary does not have it."""
    digits = f"length(abs({name})::VARCHAR)"
    measured = f"greatest({digits}, decimals + 1) + (decimals > 0)::INTEGER"
    number = f"{digits} + 1" if name in COUNT_FIELDS else measured
    return f"coalesce({len(name) + 2} + ({name} < 0)::INTEGER + {number}, 0)"


def _tag(name: str, column: str, absent: str) -> str:
    return f"(CASE WHEN {column} = {absent} THEN 0 ELSE {len(name) + 2} + length({column}::VARCHAR) END)"


_TAGS: Final = (
    *(_tag(name, name, "''") for name in ("building", "channel", "device", "room", "school")),
    _tag("revision", "revision", "0"),
    _tag("window", "window_s", "0"),
)
DECIMALS: Final = _decimals()
"""An expression for the decimals of `quantity`, to be named `decimals`."""
LINE_BYTES: Final = " + ".join(
    ["length(quantity)", *_TAGS, *map(_field, FIELDS), "length(start_ms::VARCHAR)", "2"]  # a blank and the newline
)
"""An expression over a summary's columns and `decimals`."""
