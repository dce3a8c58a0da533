"""Runs that wait for a clock that can be believed, stamped with provisional time; bounded, and nothing is lost.

When they grow too many, neighbours of one device are put together: the last value stays, the readings are counted.
"""

from __future__ import annotations

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
                self._runs = list(_thinned(self._runs))
        else:
            return False
        return True


def _thinned(runs: Iterable[Run]) -> Iterator[Run]:
    """Two and two runs of one device and its columns become one; states of safety only where they are the same."""
    first: dict[tuple[str, object], Run] = {}
    for run in runs:
        key = run.device, run.columns
        before = first.pop(key, None)
        if before is None:
            first[key] = run
        elif run.windows[0] == UNPLACED_EVENT and run.ticks != before.ticks:
            yield before
            first[key] = run
        else:
            yield run._replace(rows=before.rows + run.rows)
    yield from first.values()
