"""Runs that wait for a clock that can be believed, stamped with provisional time; bounded, and nothing is lost.

When they grow too many, neighbours of one device are put together, where there are most of them first: the last value
stays, the readings are counted. Of safety, what changed nothing goes first; then alarms that came again and again
become one, from the first alarm to the last all-clear.
"""

from __future__ import annotations

import heapq
from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from edge_agent.transactions import PLACED, UNPLACED, UNPLACED_EVENT, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST: Final = 20_000


class Unplaced:
    """The runs, in order of arrival."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs = list(runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unplaced) and self._runs == other._runs

    __hash__ = None  # type: ignore[assignment] # it changes

    @property
    def readings(self) -> int:
        """How many readings wait."""
        return sum(run.rows * len(run.columns) for run in self._runs)

    @property
    def newest_ms(self) -> int | None:
        """The latest provisional stamp."""
        return max((run.event_ms for run in self._runs), default=None)

    def apply(self, run: Run) -> bool:
        """Take in a run if it is for us: one that has no place yet, or the word that all have found theirs."""
        if run == PLACED:
            self._runs.clear()
        elif run.windows[0] in (UNPLACED, UNPLACED_EVENT):
            self._runs.append(run)
            if len(self._runs) > MOST:
                self._runs = _thinned(self._runs)
        else:
            return False
        return True


def _thinned(runs: Iterable[Run]) -> list[Run]:
    """Half of `MOST` or fewer, as far as series (a device and its columns) have more than the least each needs."""
    series: dict[tuple[str, object], list[Run]] = {}
    for run in runs:
        series.setdefault((run.device, run.columns), []).append(run)
    kept = [_changes(found) if _is_safety(found) else found for found in series.values()]
    number = sum(map(len, kept))
    longest = [(-len(found), place) for place, found in enumerate(kept)]
    heapq.heapify(longest)
    while number > MOST // 2 and longest:
        length, place = heapq.heappop(longest)
        kept[place] = (_fewer_alarms if _is_safety(kept[place]) else _halved)(kept[place])
        if (gone := -length - len(kept[place])) > 0:
            number -= gone
            heapq.heappush(longest, (length + gone, place))
    return sorted(chain.from_iterable(kept), key=attrgetter("event_ms"))


def _is_safety(found: list[Run]) -> bool:
    return found[0].windows[0] == UNPLACED_EVENT


def _halved(found: list[Run]) -> list[Run]:
    """Two and two become one."""
    pairs = zip(found[::2], found[1::2], strict=False)
    odd = found[len(found) & ~1 :]
    return [last._replace(rows=first.rows + last.rows) for first, last in pairs] + odd


def _changes(found: list[Run]) -> list[Run]:
    """Each state when it began."""
    states = (list(same) for _, same in groupby(found, key=attrgetter("ticks")))
    return [same[0]._replace(rows=sum(run.rows for run in same)) for same in states]


def _fewer_alarms(changes: list[Run]) -> list[Run]:
    """Two alarms and their all-clears become one, with what the states between said counted to its ends."""
    begin = 0 if any(changes[0].ticks) else 1
    end = begin + (len(changes) - begin) // 4 * 4
    kept = changes[:begin]
    for place in range(begin, end, 4):
        first, clear, again, last = changes[place : place + 4]
        kept += [first._replace(rows=first.rows + clear.rows), last._replace(rows=again.rows + last.rows)]
    return kept + changes[end:]
