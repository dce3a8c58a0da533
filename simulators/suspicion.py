"""Which sensors seem broken, from their means alone: what a centre could know without the truth.

Both look at a device beside its peers of the same quantity in the same school, since a quiet room is no broken sensor.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Series = Mapping[str, Mapping[int, float]]

_IN_THE_AIR: Final = ("carbon_dioxide", "temperature", "humidity", "pm25", "sound_pressure")
_STUCK_WINDOWS: Final = 8
"""Two hours: rounded to 50 ppm, as a policy may have it, the CO2 of a healthy room stays the same for one."""
_PEERS_MOVE: Final = 0.02
"""The share of their value by which the middle one of the peers must have moved meanwhile."""
_DRIFT_WINDOWS: Final = 8
_DRIFT_C_PER_H: Final = 2.2
"""What ASHRAE 55 lets the temperature of a room change by in an hour at most (limits on drifts and ramps)."""
_TIMES_USUAL: Final = 3.0
"""So many times faster than the peers usually part: they do when lessons begin and windows are opened."""
_MOST_REST: Final = 0.35
"""The largest distance from the line, of what it climbs in an hour."""
_WINDOW_MS: Final = 900_000
_FEWEST_PEERS: Final = 3
_HOUR_MS: Final = 3_600_000


def stuck(name: str, series: Series) -> dict[str, int]:
    """When each device had said the same mean in eight windows on end, while its peers moved.

    Of what is in the air alone: a battery's charge and a lamp's light may well stay as they are.
    """
    if name not in _IN_THE_AIR:
        return {}
    found: dict[str, int] = {}
    for device, means in series.items():
        ends = list(means)
        for last in range(_STUCK_WINDOWS - 1, len(ends)):
            window = ends[last - _STUCK_WINDOWS + 1 : last + 1]
            if len({means[end] for end in window}) == 1 and _have_moved(device, series, window):
                found[device] = window[-1]
                break
    return found


def drifting(name: str, series: Series) -> dict[str, int]:
    """When each device's distance from the middle of its peers had grown steadily, and far faster than theirs.

    Of temperatures alone: CO2 and dust differ between rooms by who is in them.
    """
    if name != "temperature":
        return {}
    apart = {device: _apart(device, series) for device in series}
    found: dict[str, int] = {}
    for window in _runs(sorted({end for means in series.values() for end in means})):
        lines = {
            device: _line([distance[end] for end in window], window)
            for device, distance in apart.items()
            if all(end in distance for end in window)
        }
        for device, (slope, rest) in lines.items():
            others = [abs(other) for peer, (other, _) in lines.items() if peer != device]
            if len(others) < _FEWEST_PEERS or device in found:
                continue
            usual = max(_DRIFT_C_PER_H, _TIMES_USUAL * statistics.median(others))
            if abs(slope) > usual and rest < _MOST_REST * abs(slope):
                found[device] = window[-1]
    return found


def _runs(ends: list[int]) -> Iterator[list[int]]:
    """Every run of so many windows that follow each other."""
    for last in range(_DRIFT_WINDOWS - 1, len(ends)):
        run = ends[last - _DRIFT_WINDOWS + 1 : last + 1]
        if run[-1] - run[0] == (_DRIFT_WINDOWS - 1) * _WINDOW_MS:
            yield run


def _apart(device: str, series: Series) -> dict[int, float]:
    """How far it is from the middle of its peers, by window."""
    return {
        end: mean - middle
        for end, mean in series[device].items()
        if (middle := _middle(device, series, end)) is not None
    }


def _have_moved(device: str, series: Series, window: list[int]) -> bool:
    middles = [middle for end in window if (middle := _middle(device, series, end)) is not None]
    if len(middles) < len(window):
        return False
    return max(middles) - min(middles) > _PEERS_MOVE * max(abs(middle) for middle in middles)


def _middle(device: str, series: Series, end_ms: int) -> float | None:
    peers = [means[end_ms] for other, means in series.items() if other != device and end_ms in means]
    return statistics.median(peers) if len(peers) >= _FEWEST_PEERS else None


def _line(values: list[float], ends: list[int]) -> tuple[float, float]:
    """The slope by the hour of the straight line through them, and the largest distance from it."""
    hours = [(end - ends[0]) / _HOUR_MS for end in ends]
    line = statistics.linear_regression(hours, values)
    rests = [abs(value - line.slope * hour - line.intercept) for value, hour in zip(values, hours, strict=True)]
    return line.slope, max(rests)
