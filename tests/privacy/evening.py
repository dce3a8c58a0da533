"""Seven hours in a classroom, minute by minute: with one person in it for a while, or without, and maybe a class.

The air follows `simulators.physics`. What else gives a person away is lamps, steps, a door and a voice; sensors of
movement and doors send when something changes, as battery-powered ones do, and are wrong now and then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.physics import CO2_OUTSIDE_PPM, STEP_MS, Air, exchange, step_air
from simulators.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

MINUTES: Final = 420
_LAMPS_W: Final = 432.0
_STANDBY_W: Final = 18.0
_VOC_PER_PPM: Final = 0.15
"""What people give off besides CO2 comes and goes with it."""
_AIRED_PER_H: Final = 4.0
"""Air changes of windows that a class opens."""

Row = tuple[str, float]
"""A quantity and its value."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one device of the room sends in one minute."""

    device: str
    rows: tuple[Row, ...]


class Evening:
    """One room's evening. `is_visited`: whether somebody is there for half an hour to an hour and a half.

    With `others` it is no evening, but a day of lessons, and the visitor one pupil more in some of them.
    """

    def __init__(self, rng: Random, *, is_visited: bool, begin_ms: int = 17 * 3_600_000, others: int = 0) -> None:
        """`begin_ms` is the time of the day."""
        self._rng = rng
        self._begin_ms, self._others = begin_ms, others
        self._begin = rng.randrange(60, 270)
        self._end = self._begin + rng.randrange(30, 91)
        self._is_visited = is_visited
        self._weather = Weather(
            rng,
            temperature_c=rng.uniform(0, 28),
            swing_c=6,
            humidity=rng.uniform(40, 80),
            pm25=rng.uniform(10, 90),
        )
        outside = self._weather.air
        volume_m3, leak_per_h = rng.uniform(150, 220), rng.uniform(0.3, 1.2) + _AIRED_PER_H * (others > 0)
        self._exchange = exchange(volume_m3, leak_per_h, STEP_MS / 1000)
        self._air = Air(
            rng.uniform(500, 1400),
            outside.temperature_c + rng.uniform(1, 6),
            outside.vapour_g_m3 + rng.uniform(0, 2),
            outside.pm25 * 0.6,
        )
        self._offset_ppm, self._quiet_db = rng.gauss(0, 30), rng.uniform(28, 36)
        self._pressure_hpa, self._energy_kwh = rng.uniform(995, 1030), rng.uniform(100, 5000)
        self._moved = self._opened = 0

    def minutes(self) -> Iterator[list[Sent]]:
        """What the devices send in each minute."""
        for minute in range(MINUTES):
            is_here = self._is_visited and self._begin <= minute < self._end
            self._pass(minute, is_here=is_here)
            yield [
                Sent("air", self._air_rows(is_here=is_here)),
                *self._changes(minute, is_here=is_here),
                self._meter(is_used=self._is_used(is_here=is_here)),
            ]

    def _pass(self, minute: int, *, is_here: bool) -> None:
        people, heat_w = float(self._others + is_here), _LAMPS_W * 0.8 * self._is_used(is_here=is_here)
        for step in range(60_000 // STEP_MS):
            self._weather.step(self._begin_ms + minute * 60_000 + step * STEP_MS)
            step_air(self._air, self._exchange, people, heat_w, self._weather.air)
        self._pressure_hpa += self._rng.gauss(0, 0.02)

    def _air_rows(self, *, is_here: bool) -> tuple[Row, ...]:
        noise, air, is_used = self._rng.gauss, self._air, self._is_used(is_here=is_here)
        people = self._others + is_here
        passing = 10 if self._rng.random() < 0.05 else 0
        louder_db = 10 * math.log10(max(people, 1))  # n talkers alike, as `simulators.physics` has them
        sound_db = (noise(50 + louder_db, 5) if is_used else noise(self._quiet_db, 2.5)) + passing
        given_off = _VOC_PER_PPM * (air.co2_ppm - CO2_OUTSIDE_PPM)
        return (
            ("carbon_dioxide", max(350.0, air.co2_ppm + self._offset_ppm + noise(0, 12))),
            ("temperature", air.temperature_c + noise(0, 0.08)),
            ("humidity", min(100.0, max(0.0, air.humidity + noise(0, 0.6)))),
            ("pm25", max(0.0, air.pm25 * (1 + noise(0, 0.08)))),
            ("atmospheric_pressure", self._pressure_hpa + noise(0, 0.1)),
            (
                "volatile_organic_compounds",
                max(0.0, 100 + given_off + noise(0, 15)),
            ),
            ("sound_pressure", max(0.0, sound_db)),
            ("illuminance", 340 * is_used + abs(noise(2, 2))),
        )

    def _changes(self, minute: int, *, is_here: bool) -> Iterator[Sent]:
        """Movement and the door, sent on change and once an hour."""
        moved = int(self._rng.random() < (0.8 if self._is_used(is_here=is_here) else 0.004))
        opened = int(self._is_visited and not self._others and minute in (self._begin, self._end))
        for device, name, value, before in (
            ("pir", "motion", moved, self._moved),
            ("door", "opening", opened, self._opened),
        ):
            if value != before or minute % 60 == 7:
                rows = ((name, float(value)), ("battery", 80.0), ("link_quality", float(self._rng.randrange(80, 160))))
                yield Sent(device, rows)
        self._moved, self._opened = moved, opened

    def _is_used(self, *, is_here: bool) -> bool:
        return is_here or self._others > 0

    def _meter(self, *, is_used: bool) -> Sent:
        power_w = _STANDBY_W + _LAMPS_W * is_used + self._rng.gauss(0, 3)
        self._energy_kwh += max(0.0, power_w) / 60_000
        return Sent("meter", (("power", power_w), ("energy", self._energy_kwh)))
