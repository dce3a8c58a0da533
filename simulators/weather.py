"""The day outside: temperature, humidity and dust about their means, and the daylight by the sun's height.

Sources of the figures:
- declination of the sun: Cooper, Solar Energy 12 (1969) 333;
- daylight on level ground under clear and under cloudy skies: IESNA Lighting Handbook, 9th edition, chapter 8.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import TYPE_CHECKING, Final

from simulators.physics import CO2_OUTSIDE_PPM, STEP_MS, Air, decay, saturation_g_m3

if TYPE_CHECKING:
    from random import Random

_DAY_MS: Final = 86_400_000
_FIRST_DAY: Final = dt.date(1970, 1, 1)
_SHANGHAI: Final = 31.2
_DIGITS: Final = 9
"""What mathematics libraries differ in is cut off: the last bits of sines, exponentials and logarithms."""


class Drift:
    """A quantity that wanders about zero: an Ornstein-Uhlenbeck process, exact for its step."""

    def __init__(self, rng: Random, *, deviation: float, memory_s: float) -> None:
        self._rng = rng
        self._keep = decay(1 / memory_s, STEP_MS / 1000)
        self._kick = deviation * math.sqrt(1 - self._keep**2)
        self.value = rng.gauss(0.0, deviation)

    def step(self) -> float:
        """Move on by `STEP_MS`."""
        self.value = round(self.value * self._keep + self._rng.gauss(0.0, self._kick), _DIGITS)
        return self.value


class Weather:
    """The air outside, and the daylight."""

    def __init__(
        self,
        rng: Random,
        *,
        temperature_c: float,
        swing_c: float,
        humidity: float,
        pm25: float,
        latitude: float = _SHANGHAI,
    ) -> None:
        self._mean_c, self._swing_c, self._mean_pm25 = temperature_c, swing_c, pm25
        self._latitude = math.radians(latitude)
        self._warmth = Drift(rng, deviation=0.4, memory_s=3600)
        self._dust = Drift(rng, deviation=0.15, memory_s=5400)
        self._cloud = Drift(rng, deviation=0.25, memory_s=1200)
        vapour = saturation_g_m3(temperature_c) * humidity / 100
        self.air = Air(CO2_OUTSIDE_PPM, temperature_c, vapour, pm25)
        self._local_ms, self._clear = 0, 0.0
        self._daylight_lx: float | None = 0.0
        """Of this step, once somebody has looked."""

    def step(self, local_ms: int) -> None:
        """Move on by `STEP_MS`, to that many milliseconds of local time."""
        day = (local_ms % _DAY_MS) / _DAY_MS
        # warmest at three in the afternoon
        swing = self._swing_c * math.cos(2 * math.pi * (day - 15 / 24))
        self.air.temperature_c = round(self._mean_c + swing + self._warmth.step(), _DIGITS)
        self.air.pm25 = max(1.0, self._mean_pm25 * (1 + self._dust.step()))
        self._clear = min(1.0, max(0.0, 0.6 + self._cloud.step()))
        self._local_ms, self._daylight_lx = local_ms, None

    @property
    def daylight_lx(self) -> float:
        """Illuminance on level ground outdoors; 0 before the first step."""
        if self._daylight_lx is None:
            sine = sine_of_sun(self._local_ms, self._latitude)
            self._daylight_lx = round(daylight_lx(sine, self._clear), _DIGITS)
        return self._daylight_lx


def sine_of_sun(local_ms: int, latitude_rad: float) -> float:
    """The sine of the sun's height above the horizon, where the sun is highest at noon of local time."""
    day, time_ms = divmod(local_ms, _DAY_MS)
    declination = _declination(day)
    hour_angle = 2 * math.pi * (time_ms / _DAY_MS - 0.5)
    return math.sin(latitude_rad) * math.sin(declination) + math.cos(latitude_rad) * math.cos(declination) * math.cos(
        hour_angle
    )


@functools.lru_cache(maxsize=2)
def _declination(day: int) -> float:
    """Of the sun, so many days after the beginning of 1970."""
    day_of_year = (_FIRST_DAY + dt.timedelta(days=day)).timetuple().tm_yday
    return math.radians(23.45) * math.sin(2 * math.pi * (284 + day_of_year) / 365)


def daylight_lx(sine: float, clear: float) -> float:
    """Illuminance on level ground outdoors, between a cloudy sky (`clear` 0) and a clear one (1)."""
    if sine <= 0:
        return 0.0
    sun_klx = 127.5 * math.exp(-0.21 / sine) * sine
    clear_klx = sun_klx + 0.8 + 15.5 * math.sqrt(sine)
    cloudy_klx = 0.3 + 21.0 * sine
    return 1000 * (clear * clear_klx + (1 - clear) * cloudy_klx)
