"""Looks at wall time beside monotonic time: sees a clock that is set, and gives a time that goes on evenly meanwhile.

While the clock may not be believed, readings are stamped with provisional time: wall time as it was when that
began, and from there as monotonic time passes. When the clock may be believed again, all of them move by one amount.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from edge_agent.clock_trust import EARLIEST_MS

if TYPE_CHECKING:
    from edge_agent.clock_trust import ClockTrust
    from telemetry import Clock

_log = logging.getLogger(__name__)

SMALLEST_STEP_S: Final = 2.0
"""Less is a clock that is being kept."""


class ClockWatch:
    """What is known of the clock; `look` is called with every event."""

    def __init__(self, clock: Clock, trust: ClockTrust, last_provisional_ms: int | None) -> None:
        """`last_provisional_ms` is the newest provisional stamp that a run before this one left over, if any."""
        self._clock = clock
        self._trust = trust
        self._seen = clock.monotonic(), clock.now()
        self._shift_ms = _shift_at_start(clock.now(), last_provisional_ms)
        self.is_trusted = trust.holds()
        if not self.is_trusted:
            _log.warning("the clock is not confirmed yet: readings are kept, and told once it is")

    def look(self) -> bool:
        """Take note of the time; whether the clock was set since the last look."""
        since_s, since_ms = self._seen
        now_s, now_ms = self._clock.monotonic(), self._clock.now()
        self._seen = now_s, now_ms
        step_ms = now_ms - since_ms - self._clock.passed(now_s - since_s)
        was_set = abs(step_ms) > self._clock.passed(SMALLEST_STEP_S)
        if was_set:
            _log.warning("the clock was set %s by %.1f s", "on" if step_ms > 0 else "back", abs(step_ms) / 1000)
            self._trust.stepped()
        believed = self._trust.holds()
        if was_set and not (self.is_trusted and believed):
            self._shift_ms -= step_ms
        if believed and not self.is_trusted:
            _log.info("the clock is confirmed")
        elif self.is_trusted and not believed:
            _log.warning("the clock has to be confirmed again: readings are kept meanwhile")
        self.is_trusted = believed
        return was_set

    def provisional_ms(self, wall_ms: int) -> int:
        """Provisional time at a wall time since the last step."""
        return wall_ms + self._shift_ms

    @property
    def correction_ms(self) -> int:
        """By how much provisional stamps have to move to be wall time as it is believed."""
        return -self._shift_ms

    def placed(self) -> None:
        """Nothing stamped provisionally is left."""
        self._shift_ms = 0


def _shift_at_start(now_ms: int, last_ms: int | None) -> int:
    """Go on behind what an earlier run left; what is before its time, or still to come, must have been wrong."""
    if last_ms is None or EARLIEST_MS <= last_ms <= now_ms:
        return 0
    return last_ms - now_ms
