"""How simulated time passes: in step with a scaled clock, however late the process is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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
