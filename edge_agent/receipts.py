"""Receipts: of each session the packet ids that were acknowledged, each with the mark of its message, the newest last.

A sender that did not hear the answer sends again, and of a session that are the newest: as many as it has under way.
It never says how many that may be. So of a session ten times as many are kept as came since they were trimmed, a minute
ago at least, not less than `FEWEST` and at most `MOST_RECEIPTS`: half a kilobyte for a device that sends once a minute,
and all that is under way of a broker that sends thousands a second.

The session that was heard last comes last, too: clients that make up a name for each connection leave no end of them.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FEWEST: Final = 64
"""Kept of each session: three times what clients have under way unless told otherwise."""
MOST_RECEIPTS: Final = 2000
"""Kept of each session: twice what a listener or a broker may have under way to us."""
MOST_SESSIONS: Final = 10_000
"""Kept at all: more than a listener has lasting ones."""
TRIM_EVERY_S: Final = 60.0
"""At most so often: of what came a moment ago, however often there was a checkpoint since, all may come again."""
_TIMES: Final = 10
_MARK: Final = 0xFFFFFFFF


def pack(marks: Mapping[int, int]) -> array[int]:
    """In 64 bits the packet id and, below it, 32 bits of mark."""
    return array("Q", [packet_id << 32 | mark for packet_id, mark in marks.items()])


def unpack(packed: Iterable[int]) -> dict[int, int]:
    """Marks by packet id; one that was used again stands for its newest message."""
    return {number >> 32: number & _MARK for number in packed}


class Receipts:
    """Those of all sessions, as the agent's memory has them and as its store does."""

    def __init__(self) -> None:
        self._packed: dict[str, array[int]] = {}
        self._fresh: dict[str, int] = {}
        """How many came of each session since the last trim."""
        self._changed: set[str] = set()
        """Of which sessions some came since the last checkpoint."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Receipts) and list(self._packed.items()) == list(other._packed.items())

    __hash__ = None  # type: ignore[assignment] # it changes

    def __iter__(self) -> Iterator[str]:
        """The sessions, the one that was heard last behind all others."""
        return iter(self._packed)

    def __contains__(self, session: object) -> bool:
        """Whether anything is kept of a session."""
        return session in self._packed

    def of(self, session: str) -> dict[int, int]:
        """The mark by packet id."""
        return unpack(self._packed.get(session, ()))

    def restore(self, session: str, packed: bytes) -> None:
        """Add what a checkpoint kept. Raises ValueError where the bytes are damaged."""
        known = self._packed[session] = self._packed.pop(session, array("Q"))
        known.frombytes(packed)

    def remember(self, session: str, packed: array[int]) -> None:
        """Add what is newer."""
        known = self._packed[session] = self._packed.pop(session, array("Q"))
        known.extend(packed)
        if len(known) > 2 * MOST_RECEIPTS:  # seldom, and then by many
            self._packed[session] = _newest(known, MOST_RECEIPTS)
        self._fresh[session] = self._fresh.get(session, 0) + len(packed)
        self._changed.add(session)

    def checkpoint(self, *, trims: bool) -> dict[str, array[int]]:
        """The sessions that have changed since the last checkpoint, in the order in which they were heard; `trims` to
        forget what no sender asks for any more."""
        if trims:
            self._trim()
        changed = {session: packed for session, packed in self._packed.items() if session in self._changed}
        self._changed.clear()
        return changed

    def _trim(self) -> None:
        for session, count in self._fresh.items():
            most = min(MOST_RECEIPTS, max(FEWEST, _TIMES * count))
            if len(self._packed[session]) > most:
                self._packed[session] = _newest(self._packed[session], most)
        for session in list(islice(self._packed, max(0, len(self._packed) - MOST_SESSIONS))):
            del self._packed[session]
        self._fresh.clear()


def _newest(packed: array[int], most: int) -> array[int]:
    """The newest of so many packet ids: one that is used again and again takes the place of one."""
    found: dict[int, int] = {}
    for number in reversed(packed):
        found.setdefault(number >> 32, number)
    return array("Q", reversed(list(islice(found.values(), most))))
