"""Lost and doubled, counted exactly: every message carries a number, and what came is compared with what was sent."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBER: Final = re.compile(rb'"number":\s*(-?\d+)')
"""As it stands in a message, and in whatever a gateway makes of it; numbers below 0 are not counted."""


@dataclass(frozen=True, slots=True)
class Count:
    """What became of a stream."""

    sent: int
    lost: int
    """Messages that never came."""
    doubled: int
    """Arrivals beyond the first."""


def numbers_in(data: bytes) -> list[int]:
    """The numbers of the messages in what a remote received."""
    return [number for number in map(int, NUMBER.findall(data)) if number >= 0]


def count_numbers(sent: int, arrived: Iterable[int]) -> Count:
    """Of messages 0 to `sent` - 1; a number that was never sent is a mistake of the measurement. Raises ValueError."""
    times = Counter(arrived)
    strange = [number for number in times if not 0 <= number < sent]
    if strange:
        raise ValueError(f"{len(strange)} numbers that were never sent, such as {strange[0]}")
    return Count(sent, sent - len(times), times.total() - len(times))


def count_slots(sent: int, received: int, windows: Iterable[tuple[str, int, int]]) -> Count:
    """The same of a stream that is told in summaries: of each window its series, its start and how many slots of it
    are filled.

    Each message of the stream is stamped with the beginning of a slot of its own, and a value stands for its slot
    alone: the slots of all windows are the messages that arrived. A window that came twice doubles its messages, and
    so does each of `received`, what the gateway took in and did not know as a copy, beyond those sent.
    """
    first: dict[tuple[str, int], int] = {}
    again = 0
    for series, start_ms, filled in windows:
        if (series, start_ms) in first:
            again += filled
        else:
            first[series, start_ms] = filled
    return Count(sent, sent - sum(first.values()), again + max(0, received - sent))
