"""Privacy time: by which 24 hours are counted in the privacy ledger, and which no set clock can hurry.

While the agent runs, it passes as monotonic time does. Over a restart it goes on by what the wall clock says has
passed, once that can be believed, and by no more than the monotonic clock says where the machine was not restarted. It
never runs backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.privacy.budget import Moment

if TYPE_CHECKING:
    from edge_agent.privacy.budget import Spending
    from telemetry import Clock


class PrivacyTime:
    """A clock of milliseconds, whose zero is when the store was new."""

    def __init__(self, clock: Clock, spending: Spending) -> None:
        """Go on from what is on disk."""
        self._clock = clock
        self._away = spending.kept
        """From when on it is not known yet how much time passed."""
        self._base_ms = spending.privacy_ms
        self._base_s = clock.monotonic()

    def now(self) -> int:
        """Privacy time in milliseconds."""
        return self._base_ms + self._clock.passed(self._clock.monotonic() - self._base_s)

    def believe(self) -> None:
        """The wall clock can be believed: count, once, the time in which nobody ran."""
        if self._away is None:
            return
        away, self._away = self._away, None
        passed_ms = self._clock.now() - away.wall_ms
        ran_s = self._clock.monotonic() - away.monotonic_ms / 1000
        if ran_s >= 0:  # of another start of the machine it would be less; if it is not, too little is counted
            passed_ms = min(passed_ms, self._clock.passed(ran_s))
        self._base_ms = max(self.now(), away.privacy_ms + max(0, passed_ms))
        self._base_s = self._clock.monotonic()

    def moment(self) -> Moment | None:
        """What to write down; None while the wall clock was never believed."""
        if self._away is not None:
            return None
        return Moment(self.now(), self._clock.now(), int(self._clock.monotonic() * 1000))
