"""Receipts: by session and packet id, the mark of each message that was acknowledged; of a session, the newest last."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_RECEIPTS: Final = 2000
"""Kept of each session: twice what a listener or a broker may have under way to us."""
Receipts: TypeAlias = "dict[str, dict[int, int]]"


def remember(receipts: Receipts, session: str, marks: Mapping[int, int]) -> None:
    """Add what is newer; a packet id that is used again stands for its newest message."""
    known = receipts.setdefault(session, {})
    if not known.keys().isdisjoint(marks):
        for packet_id in marks:
            known.pop(packet_id, None)
    known.update(marks)
    if len(known) > 2 * MOST_RECEIPTS:  # seldom, and then by many
        receipts[session] = newest(known)


def newest(marks: dict[int, int]) -> dict[int, int]:
    """Those that a sender may still ask for."""
    return marks if len(marks) <= MOST_RECEIPTS else dict(islice(marks.items(), len(marks) - MOST_RECEIPTS, None))
