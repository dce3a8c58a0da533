"""When each agent was heard: its liveness by the centre's own clock, whatever the agent's says.

Any batch counts, of summaries or a report. An agent is fresh for twice the median pause between the last of them, and
for 10 minutes at least; late for six times the median, and for 30 minutes at least; then it is offline.
"""

from __future__ import annotations

import bisect
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Freshness, aged

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_MS: Final = 26 * 3600 * 1000
_MINUTE_MS: Final = 60_000
_FRESH_MS: Final = 10 * _MINUTE_MS
_LATE_MS: Final = 30 * _MINUTE_MS
_LAST: Final = 16


class Hearing:
    """The moments at which each agent was heard within the last day, at most one a minute."""

    def __init__(self) -> None:
        self._heard: dict[str, list[int]] = {}
        self._last: dict[str, int] = {}

    def take(self, heard: Iterable[tuple[str, int]]) -> None:
        """Note agents and when a batch of theirs came, in the order of arrival.

        Moments behind that are of a clock that was set back since, and say nothing any more.
        """
        for agent, time_ms in heard:
            moments = self._heard.setdefault(agent, [])
            del moments[bisect.bisect_right(moments, time_ms) :]
            if not moments or time_ms - moments[-1] >= _MINUTE_MS:
                moments.append(time_ms)
                del moments[: bisect.bisect_left(moments, time_ms - KEPT_MS)]
            self._last[agent] = time_ms

    def last(self, agent: str) -> int | None:
        """When it was last heard; None when it never was."""
        return self._last.get(agent)

    def freshness(self, agent: str, now_ms: int) -> Freshness:
        """Its state now; stale means offline."""
        last = self._last.get(agent)
        if last is None:
            return Freshness.NEVER
        pause = self._pause(agent)
        return aged(now_ms, last + max(_FRESH_MS, 2 * pause), last + max(_LATE_MS, 6 * pause))

    def was_offline(self, agent: str, time_ms: int) -> bool:
        """Whether that moment of the last day lies in a silence that was too long, or has lasted too long."""
        moments = self._heard.get(agent, [])
        index = bisect.bisect_right(moments, time_ms)
        if index == 0:
            return True
        if index < len(moments):
            return moments[index] - moments[index - 1] >= max(_FRESH_MS, 3 * self._pause(agent))
        return time_ms - self._last[agent] >= max(_LATE_MS, 6 * self._pause(agent))

    def _pause(self, agent: str) -> int:
        moments = self._heard[agent][-_LAST:] if agent in self._heard else []
        return int(statistics.median([later - earlier for earlier, later in pairwise(moments)] or [0]))
