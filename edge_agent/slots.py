"""The last value of each slot of one window, packed: an agent holds a million of them at once. Pure."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Held(NamedTuple):
    """A value and when it was measured."""

    event_ms: int
    ticks: int


class Slots:
    """Values in order of time, at most one of each slot: sixteen bytes each."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = array("q")
        """When a value was measured, and its ticks, in turn."""

    def __len__(self) -> int:
        """How many slots hold a value."""
        return len(self._packed) // 2

    def __iter__(self) -> Iterator[Held]:
        """Each value that is held, the earliest first."""
        pairs = iter(self._packed)
        return map(Held, pairs, pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment] # it changes

    def numbers(self) -> list[int]:
        """When each value was measured and its ticks, in turn."""
        return self._packed.tolist()

    def copy(self) -> Slots:
        """The same values, to be changed by themselves."""
        made = Slots()
        made._packed = self._packed[:]
        return made

    def last(self) -> Held | None:
        """The value measured last."""
        return Held(*self._packed[-2:]) if self._packed else None

    def put(self, event_ms: int, ticks: int, begin_ms: int, every_ms: int) -> None:
        """Put a value into the slot that begins then and is so long; the later measured stays, of two at one moment
        the later arrived."""
        packed = self._packed
        at = len(packed)
        while at and packed[at - 2] >= begin_ms + every_ms:  # most come in order: the last place is the right one
            at -= 2
        if not at or packed[at - 2] < begin_ms:
            packed[at:at] = array("q", (event_ms, ticks))
        elif event_ms >= packed[at - 2]:
            packed[at - 2], packed[at - 1] = event_ms, ticks
