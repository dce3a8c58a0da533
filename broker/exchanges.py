"""QoS 2 as its receiver keeps it: packet ids of publications that are taken over and not given free.

Method B of MQTT 3.1.1 section 4.3.3: with its id on disk a publication is never taken over twice, whatever is sent
again. A step is an id that is taken over, or the negative of one that is given free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Exchanges:
    """The ids of one session: changed when the steps are on disk."""

    __slots__ = ("_open", "_opening")

    def __init__(self, opened: Iterable[int] = ()) -> None:
        self._open = set(opened)
        self._opening: set[int] = set()

    def __contains__(self, packet_id: int) -> bool:
        return packet_id in self._open

    def __len__(self) -> int:
        return len(self._open) + len(self._opening)

    def begin(self, packet_id: int) -> None:
        """A publication is handed on, and its step with it."""
        self._opening.add(packet_id)

    def settle(self, steps: Iterable[int]) -> None:
        """These steps are on disk."""
        for step in steps:
            if step > 0:
                self._opening.discard(step)
                self._open.add(step)
            else:
                self._open.discard(-step)

    def ending(self) -> list[int]:
        """The steps that give all of them free, for a session that is over."""
        return sorted(-packet_id for packet_id in self._open | self._opening)
