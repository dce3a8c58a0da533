"""What a simulated device puts on the wire, and the order in which a whole school does."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simulators.campus import Campus


@dataclass(frozen=True, slots=True)
class Emission:
    """One frame, and what its format's document says is in it."""

    device: str
    event_ms: int
    topic: str
    """Where it is published; empty for a serial line."""
    payload: bytes
    readings: tuple[tuple[str, float], ...]
    """Quantity and value of every vocabulary measurement in the frame."""


class Emitter(Protocol):
    """A device that speaks without being asked, once in every cadence slot."""

    id: str
    cadence_ms: int
    phase_ms: int
    """Where in its slot it speaks: fixed, so that every slot holds exactly one frame."""

    def emit(self, at_ms: int) -> Emission:
        """The frame of that moment, from the state of its room."""
        ...


@runtime_checkable
class Commanded(Emitter, Protocol):
    """One that can be told something as well."""

    command_topic: str

    def obey(self, payload: bytes, at_ms: int) -> Emission | None:
        """What it says to a command, from what it measured before; None where it says nothing."""
        ...


def emissions(
    emitters: Sequence[Emitter], campus: Campus, start_ms: int, end_ms: int, perceive: Callable[[str, int], None]
) -> Iterator[Emission]:
    """Every frame of a run in order of time; each is computed when its predecessor has been taken.

    An emitter may be exchanged for another on the way, which then speaks at its times.
    """
    due = [(start_ms + emitter.phase_ms, index) for index, emitter in enumerate(emitters)]
    heapq.heapify(due)
    while due and due[0][0] < end_ms:
        at_ms, index = due[0]
        campus.advance(at_ms)
        perceive(emitters[index].id, at_ms)
        emitter = emitters[index]
        yield emitter.emit(at_ms)
        heapq.heapreplace(due, (at_ms + emitter.cadence_ms, index))
