"""Throughputs beside a peer's of the same run, as the table and the picture that listener and subscriber share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench._pictures import OURS, PEER, bars
from bench._report import Part
from bench._runs import interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench._load import Load
    from bench._runs import Pairs, Run


@dataclass(frozen=True, slots=True)
class Row:
    """A path under one load, and what it came to."""

    name: str
    pairs: Pairs


def compare(name: str, ours: Callable[[Load], Run], peer: Callable[[Load], Run], load: Load) -> Row:
    """Measure one row."""
    print(f"   {name} ...", flush=True)
    return Row(name, interleaved(ours, peer, load))


def part_of(rows: Sequence[Row], peer_name: str) -> Part:
    """All of them."""
    columns = (
        "load",
        "messages/s",
        f"{peer_name}, messages/s",
        "ratio",
        "CPU per message",
        "peak memory",
        "load's share of a core",
        "the same, peer",
    )
    return Part(
        columns=columns,
        rows=[_cells(row) for row in rows],
        picture=bars(
            "Messages a second",
            [
                ((row.name, row.pairs.ours.per_second, OURS), (peer_name, row.pairs.peer.per_second, PEER))
                for row in rows
            ],
        ),
        caption="Messages a second",
    )


def _cells(row: Row) -> Sequence[str]:
    ours, peer = row.pairs.ours, row.pairs.peer
    return (
        row.name,
        f"{ours.per_second:,.0f}",
        f"{peer.per_second:,.0f}",
        f"**{row.pairs.ratio:.2f}**",
        f"{ours.cpu_us:.0f} us",
        f"{ours.peak_mb:.0f} MB",
        f"{ours.load_share:.0%}",
        f"{peer.load_share:.0%}",
    )
