"""Receipts: by packet id, the mark of each message of a session that was acknowledged; the newest last."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_RECEIPTS: Final = 2000
"""Kept of each session: twice what a listener or a broker may have under way to us."""


def remember(known: dict[int, int], marks: Iterable[tuple[int, int]]) -> None:
    """Add what is newer; a packet id that is used again stands for its newest message."""
    for packet_id, mark in marks:
        known.pop(packet_id, None)
        known[packet_id] = mark


def newest(marks: dict[int, int]) -> dict[int, int]:
    """Those that a sender may still ask for."""
    return marks if len(marks) <= MOST_RECEIPTS else dict(islice(marks.items(), len(marks) - MOST_RECEIPTS, None))
