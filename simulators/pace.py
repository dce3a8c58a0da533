"""How simulated time passes: in step with a scaled clock, however late the process is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from telemetry import ScaledClock

_SHORTEST_SLEEP_S: Final = 0.02
"""What falls due within it is sent together: fifty wake-ups a second are enough."""
_MOST_WITHOUT_YIELDING: Final = 64


class Pace:
    """Waits for moments of simulated time; a moment that has passed is not waited for, and none is skipped."""

    def __init__(self, clock: ScaledClock) -> None:
        self.clock = clock
        self._since_yield = 0

    async def until(self, at_ms: int) -> None:
        """Return when the clock has reached `at_ms`, letting other tasks run on the way."""
        self._since_yield += 1
        while (ahead_s := self.clock.until(at_ms)) > 0:
            self._since_yield = 0
            await asyncio.sleep(max(_SHORTEST_SLEEP_S, ahead_s))
        if self._since_yield >= _MOST_WITHOUT_YIELDING:
            self._since_yield = 0
            await asyncio.sleep(0)


class Progress:
    """How far in simulated time a run has come, however late it is; others may hold it up to do something at a time."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Event, asyncio.Event]] = []

    async def reach(self, at_ms: int) -> None:
        """All that was due before `at_ms` is done; return when those who waited for it have done their part."""
        for entry in [entry for entry in self._waiting if entry[0] <= at_ms]:
            self._waiting.remove(entry)
            _, reached, done = entry
            reached.set()
            await done.wait()

    @contextlib.asynccontextmanager
    async def at(self, at_ms: int) -> AsyncIterator[None]:
        """Wait for `at_ms`, and hold everything up until the block ends."""
        reached, done = asyncio.Event(), asyncio.Event()
        self._waiting.append((at_ms, reached, done))
        try:
            await reached.wait()
            yield
        finally:
            done.set()
