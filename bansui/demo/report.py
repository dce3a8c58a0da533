"""The end of a demo for a person: the balance as a table, and the verdict in a line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from bansui.demo.balance import Balance
    from bansui.demo.words import Words

_GOOD, _BAD = "green", "bold red"


def print_balance(console: Console, balance: Balance, first_room_s: float | None, words: Words) -> None:
    """Print it whole; where something is at fault, the first few places too."""
    failures = set(balance.failures)
    table = Table(title=words("balance"), title_justify="left", box=None, show_header=False, padding=(0, 2))
    for label, figures, verdict, names in _rows(balance, words):
        style = _BAD if failures & names else ""
        table.add_row(label, figures, f"[{style}]{verdict}[/]" if style else verdict)
    seconds = "–" if first_room_s is None else f"{first_room_s:.1f}"
    table.add_row(words("row.first"), words("first", seconds=seconds), "")
    console.print(table)
    for example in (*balance.windows.examples, *balance.agent_faults):
        console.print(f"  {example}")
    if failures:
        console.print(words("fails", names=", ".join(balance.failures)), style=_BAD)
        console.print(words("look"))
    else:
        console.print(words("closes"), style=_GOOD)


def _rows(balance: Balance, words: Words) -> list[tuple[str, str, str, set[str]]]:
    """Label, figures, verdict, and the names of the conditions that the row stands for."""
    readings, windows = dataclasses.asdict(balance.readings), balance.windows
    summaries = dataclasses.asdict(balance.summaries)
    minutes = round(balance.faults.shortest_outage_ms / 60_000)
    holds = words("equations.fail" if balance.agent_faults else "equations.hold")
    return [
        (
            words("row.repeat"),
            words("sent", **readings),
            words("lost", **readings),
            {"lost", "doubled", "unconfirmed", "few_readings"},
        ),
        (words("row.once"), words("once", **readings), words("invented", **readings), {"invented"}),
        (
            words("row.windows"),
            words("windows", compared=windows.compared, untold=windows.untold, not_over=windows.not_over),
            words("windows.verdict", missing=windows.missing, mismatched=windows.mismatched),
            {"missing", "mismatched"},
        ),
        (
            words("row.summaries"),
            words("stored", **summaries),
            words("stored.verdict", **summaries),
            {"summaries", "repeated", "waiting", "few_summaries"},
        ),
        (words("row.agent"), words("equations", **balance.agent), holds, {"agent_balance"}),
        (
            words("row.faults"),
            words("faults", minutes=minutes, kills=balance.faults.kills),
            "",
            {"short_outage", "no_kill"},
        ),
    ]
