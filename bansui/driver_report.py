"""Drivers and decoded frames as tables, for a person at a terminal or at the end of a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from device_drivers.cases import CaseReading, CaseResult
    from device_drivers.registry import DriverEntry
    from device_drivers.scores import Score

_RIGHT: Final = ("value", "fields", "contract", "cases", "decoded", "refused", "no driver", "as expected")
_ENDLESS: Final = 10_000


def describe(entry: DriverEntry) -> dict[str, Any]:
    """A driver as `--json` prints it."""
    if entry.found is None:
        error = entry.error.as_dict() if entry.error is not None else None
        return {"id": entry.id, "source": entry.source, "error": error}
    identity = entry.found.driver
    return {
        "id": entry.id,
        "source": entry.source,
        "name": {"zh": identity.name_zh, "en": identity.name_en},
        "version": identity.version,
        "contract": identity.contract,
        "transports": list(entry.found.transports),
        "families": sorted(entry.found.families),
        "models": list(identity.models),
        "fields": [{"key": row.key, "quantity": row.quantity, "channel": row.channel} for row in entry.found.field],
        "error": None,
    }


def print_drivers(entries: Sequence[DriverEntry]) -> None:
    """Print the drivers that are installed, and under them what is wrong with the broken ones."""
    rows = table("id", "name", "名称", "transport", "models", "fields", "contract", "from")
    for entry in entries:
        rows.add_row(*_row(entry))
    print_table(rows)
    for entry in entries:
        if entry.error is not None:
            print(f"✕ {entry.id}: {entry.error}")


def print_results(results: Iterable[CaseResult]) -> None:
    """Print what became of each case, a reading a line."""
    rows = table("case", "quantity", "channel", "value", "unit", "dropped, or why refused")
    for result in results:
        note = f"✕ {result.error[0]}: {result.error[1]}" if result.error is not None else ", ".join(result.dropped)
        name = result.id if result.id and result.id.isprintable() else "?"
        if not result.readings:
            rows.add_row(name, "", "", "", "", note)
        for reading in result.readings:
            rows.add_row(name, reading.quantity, reading.channel or "", _value(reading), reading.unit or "", note)
            name = note = ""
    print_table(rows)


def print_scores(scores: Sequence[Score]) -> None:
    """Print what became of the cases of each family."""
    rows = table("family", "cases", "decoded", "refused", "no driver", "as expected")
    for score in scores:
        expected = f"{score.as_expected}/{score.expecting}" if score.expecting else "-"
        counts = (score.cases, score.decoded, score.refused, score.no_driver)
        rows.add_row(score.family if score.family.isprintable() else "?", *map(str, counts), expected)
    print()
    print_table(rows)


def _row(entry: DriverEntry) -> tuple[str, ...]:
    if entry.found is None:
        return (entry.id, "✕ broken", "✕ 不可用", "", "", "", "", entry.source)
    identity = entry.found.driver
    return (
        entry.id,
        identity.name_en,
        identity.name_zh,
        ", ".join(entry.found.transports),
        ", ".join(identity.models) or "any",
        str(len(entry.found.field)),
        str(identity.contract),
        f"{entry.source} {identity.version}",
    )


def _value(reading: CaseReading) -> str:
    return {True: "yes", False: "no"}[reading.value] if isinstance(reading.value, bool) else str(reading.value)


def table(*columns: str) -> Table:
    """An empty table with these heads."""
    rows = Table(box=None, pad_edge=False)
    for column in columns:
        rows.add_column(column, justify="right" if column in _RIGHT else "left")
    return rows


def print_table(rows: Table) -> None:
    """Print a table; into a pipe, whole."""
    console = Console(markup=False)
    if not console.is_terminal:  # a pipe has no width: no cell is to be cut
        needed = Measurement.get(console, console.options.update(width=_ENDLESS), rows).maximum
        console = Console(width=needed, markup=False)
    console.print(rows)
