"""What a demo is made of: a scenario's day, squeezed into so many seconds, and what is done to it on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry import ScaledClock, SystemClock

if TYPE_CHECKING:
    from simulators.scenarios import Scenario

SCENARIO: Final = "school-day"
FAULTS: Final = ("uplink-outage@10:00+1h", "agent-kill@10:40", "agent-kill@14:00")
"""The second strikes while the uplink is cut, the third on a quiet afternoon."""
SHORTEST_S: Final = 25
_LEAD_MS: Final = 3000
"""Real time for the processes to start before the day does."""
_PATIENCE_S: Final = 1.7
"""Real time that windows wait for what is late: devices find a restarted agent in it, and rooms still are fresh."""
_HURRIED_S: Final = 100
_PATIENCE_OF_A_HURRIED_DAY_S: Final = 8.0
"""In a shorter day rooms are never fresh for long, but a busy machine must not make readings too late to count."""
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One demo, decided before anything starts."""

    scenario: Scenario
    seed: int
    clock: ScaledClock
    lateness_s: int
    """For how long, in the day's time, windows wait for readings that come late."""
    port: int
    sabotage: str
    keep: bool

    @classmethod
    def of(cls, scenario: Scenario, *, seconds: float, seed: int, port: int, sabotage: str, keep: bool) -> Plan:
        """A day that begins in a moment and is over, with its last hour, after `seconds` more."""
        speed = (closing_ms(scenario) - scenario.start_ms) / 1000 / seconds
        clock = ScaledClock(scenario.start_ms, SystemClock().now() + _LEAD_MS, speed)
        patience_s = _PATIENCE_S if seconds >= _HURRIED_S else _PATIENCE_OF_A_HURRIED_DAY_S
        return cls(
            scenario=scenario,
            seed=seed,
            clock=clock,
            lateness_s=round(patience_s * speed),
            port=port,
            sabotage=sabotage,
            keep=keep,
        )

    @property
    def settled_ms(self) -> int:
        """When every window of the day but those of the whole day is closed."""
        return closing_ms(self.scenario) + self.lateness_s * 1000


def closing_ms(scenario: Scenario) -> int:
    """The end of the last hour that the day touches: the longest window but the whole day's is an hour."""
    return -(-scenario.end_ms // _HOUR_MS) * _HOUR_MS
