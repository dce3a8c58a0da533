"""What one row of the journal holds, as bytes: runs, counts, receipts and exchanges of one transaction.

Runs and counts are 64-bit integers in the machine's order, in which series and counters stand by their numbers in the
database. Everything that reads raises ValueError or LookupError where the bytes are damaged.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from edge_agent.transactions import Columns, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

SeriesName: TypeAlias = tuple[str, str, str]
"""Device, channel, quantity."""


class RunNumbers:
    """What the runs of one device and layout have in common, as the journal holds it."""

    __slots__ = ("_packed", "_windows", "series")

    def __init__(self, series: Iterable[int]) -> None:
        self.series = array("q", series)
        """The number of each."""
        self._windows: object = None
        self._packed = array("q")

    def windows(self, windows: Sequence[tuple[int, int]]) -> array[int]:
        """Starts and lengths; those of the run before, where they are the same object."""
        if windows is not self._windows:
            self._windows, self._packed = windows, array("q", chain.from_iterable(windows))
        return self._packed


def pack_runs(runs: Iterable[Run], numbers_of: Callable[[str, Columns], RunNumbers]) -> bytes:
    """Of each run its width, rows and time; then its series, its ticks, its windows."""
    packed = array("q")
    for device, columns, rows, event_ms, ticks, windows in runs:
        numbers = numbers_of(device, columns)
        packed.extend((len(columns), rows, event_ms))
        packed.extend(numbers.series)
        packed.extend(ticks)
        packed.extend(numbers.windows(windows))
    return packed.tobytes()


def unpack_runs(packed: bytes, series: Mapping[int, SeriesName]) -> Iterator[Run]:
    """The runs, in order."""
    numbers = array("q")
    numbers.frombytes(packed)
    position = 0
    while position < len(numbers):
        width, rows, event_ms = numbers[position : position + 3]
        start, position = position + 3, position + 3 + 4 * width
        if not width:
            yield Run("", (), rows, event_ms, (), ())
            continue
        if not start < position <= len(numbers):
            raise ValueError("a run that is longer than its record")
        named = [series[number] for number in numbers[start : start + width]]
        ticks, windows = numbers[start + width : start + 2 * width], numbers[start + 2 * width : position]
        columns = tuple((channel, quantity) for _, channel, quantity in named)
        yield Run(named[0][0], columns, rows, event_ms, ticks, list(zip(windows[::2], windows[1::2], strict=True)))


def pack_counts(counts: Iterable[tuple[int, int]]) -> bytes:
    """Of each counter its number, and by how much it rises."""
    return array("q", chain.from_iterable(counts)).tobytes()


def unpack_counts(packed: bytes) -> Iterator[tuple[int, int]]:
    """Counters' numbers, and by how much each rises."""
    numbers = array("q")
    numbers.frombytes(packed)
    return zip(numbers[::2], numbers[1::2], strict=True)


def pack_receipts(receipts: Mapping[str, array[int]]) -> bytes:
    """Of each session its packed marks, as MessagePack."""
    return msgspec.msgpack.encode({session: marks.tobytes() for session, marks in receipts.items()})


def unpack_receipts(packed: bytes) -> Iterator[tuple[str, array[int]]]:
    """Sessions, and the packed marks of each."""
    for session, marks in _by_session(packed):
        numbers = array("Q")
        numbers.frombytes(marks)
        yield session, numbers


def pack_exchanges(exchanges: Mapping[str, Iterable[int]]) -> bytes:
    """Of each session its steps of QoS 2 as 32-bit integers, as MessagePack."""
    return msgspec.msgpack.encode({session: array("i", steps).tobytes() for session, steps in exchanges.items()})


def unpack_exchanges(packed: bytes) -> Iterator[tuple[str, Sequence[int]]]:
    """Sessions, and the steps of each, in order."""
    for session, steps in _by_session(packed):
        numbers = array("i")
        numbers.frombytes(steps)
        yield session, numbers


def _by_session(packed: bytes) -> Iterable[tuple[str, bytes]]:
    try:
        return msgspec.msgpack.decode(packed, type=dict[str, bytes]).items() if packed else ()
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
