"""Receipts: by session and packet id, the mark of each message that was acknowledged; of a session, the newest last.

The session that was heard last comes last, too: clients that make up a name for each connection leave no end of them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_RECEIPTS: Final = 2000
"""Kept of each session: twice what a listener or a broker may have under way to us."""
MOST_SESSIONS: Final = 10_000
"""Kept at all: more than a listener has lasting ones."""
Receipts: TypeAlias = "dict[str, dict[int, int]]"


def remember(receipts: Receipts, session: str, marks: Mapping[int, int]) -> None:
    """Add what is newer; a packet id that is used again stands for its newest message."""
    known = receipts.pop(session, None) or {}
    if not known.keys().isdisjoint(marks):
        for packet_id in marks:
            known.pop(packet_id, None)
    known.update(marks)
    receipts[session] = known if len(known) <= 2 * MOST_RECEIPTS else newest(known)  # seldom, and then by many


def trimmed(receipts: Receipts) -> Receipts:
    """Those that a sender may still ask for."""
    sessions = islice(receipts.items(), max(0, len(receipts) - MOST_SESSIONS), None)
    return {session: newest(marks) for session, marks in sessions}


def newest(marks: dict[int, int]) -> dict[int, int]:
    """Those of one session that its sender may still ask for."""
    return marks if len(marks) <= MOST_RECEIPTS else dict(islice(marks.items(), len(marks) - MOST_RECEIPTS, None))
