"""The physics of a room and of the day outside: balances, solved exactly over steps in which nothing changes.

Every balance here has the form x' = k (x_end - x), so a step of any length is x_end + (x - x_end) exp(-k t):
unconditionally stable, and the same however fast the simulation runs.

Sources of the figures:
- CO2 of a seated pupil, 0.0045 L/s: Persily and de Jonge, Indoor Air 27 (2017) 868, table 4, 11 to 16 years;
- sensible heat 75 W and moisture 50 g/h of a seated person: ISO 7730, ASHRAE Fundamentals chapter 18;
- saturation vapour pressure: WMO-No. 8, annex 4.B (Magnus form);
- deposition of PM2.5 indoors, 0.2 per hour: Thatcher and Layton, Atmospheric Environment 29 (1995) 1487.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

STEP_MS: Final = 10_000
CO2_OUTSIDE_PPM: Final = 425.0
CO2_PER_PERSON_M3_S: Final = 4.5e-6
HEAT_PER_PERSON_W: Final = 75.0
VAPOUR_PER_PERSON_G_S: Final = 50.0 / 3600
AIR_HEAT_J_M3_K: Final = 1.2 * 1005
MASS_FACTOR: Final = 20.0
"""Furniture and walls store this many times the heat of the air."""
LOSS_W_M3_K: Final = 1.6
DEPOSITION_PER_S: Final = 0.2 / 3600
PENETRATION: Final = 0.75
RESUSPENSION_UG_S: Final = 0.12
"""Micrograms of PM2.5 that a moving person stirs up in a second."""
DAYLIGHT_FACTOR: Final = 0.012
_DAY_MS: Final = 86_400_000


def relax(value: float, end: float, rate_per_s: float, seconds: float) -> float:
    """Where `value` is after `seconds` on its way to `end` at that rate."""
    return end + (value - end) * math.exp(-rate_per_s * seconds)


def saturation_g_m3(temperature_c: float) -> float:
    """Grams of water vapour that a cubic metre of air can hold."""
    pressure_hpa = 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
    return 216.7 * pressure_hpa / (273.15 + temperature_c)


@dataclass(slots=True)
class Air:
    """The state of a body of air."""

    co2_ppm: float
    temperature_c: float
    vapour_g_m3: float
    pm25: float

    @property
    def humidity(self) -> float:
        """Relative humidity in percent."""
        return min(99.0, 100.0 * self.vapour_g_m3 / saturation_g_m3(self.temperature_c))


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What goes on in a room during one step."""

    people: float
    air_changes_per_h: float
    heat_w: float = 0.0


def co2_steady_state_ppm(*, people: float, volume_m3: float, air_changes_per_h: float) -> float:
    """The CO2 that a room comes to rest at when nothing changes."""
    supply_m3_s = volume_m3 * air_changes_per_h / 3600
    return CO2_OUTSIDE_PPM + people * CO2_PER_PERSON_M3_S * 1e6 / supply_m3_s


def step_room(air: Air, volume_m3: float, use: Use, outside: Air, seconds: float) -> None:
    """Move a room's air on by `seconds` during which `use` and `outside` stay as they are."""
    change = use.air_changes_per_h / 3600
    air.co2_ppm = relax(
        air.co2_ppm,
        co2_steady_state_ppm(people=use.people, volume_m3=volume_m3, air_changes_per_h=use.air_changes_per_h),
        change,
        seconds,
    )
    vapour_end = outside.vapour_g_m3 + use.people * VAPOUR_PER_PERSON_G_S / (volume_m3 * change)
    air.vapour_g_m3 = relax(air.vapour_g_m3, vapour_end, change, seconds)
    removal = change + DEPOSITION_PER_S
    stirred = use.people * RESUSPENSION_UG_S / volume_m3
    air.pm25 = relax(air.pm25, (change * PENETRATION * outside.pm25 + stirred) / removal, removal, seconds)
    loss_w_k = volume_m3 * (LOSS_W_M3_K + change * AIR_HEAT_J_M3_K)
    heat_w = use.people * HEAT_PER_PERSON_W + use.heat_w
    rate = loss_w_k / (volume_m3 * AIR_HEAT_J_M3_K * MASS_FACTOR)
    air.temperature_c = relax(air.temperature_c, outside.temperature_c + heat_w / loss_w_k, rate, seconds)


class Drift:
    """A quantity that wanders about zero: an Ornstein-Uhlenbeck process, exact for its step."""

    def __init__(self, rng: Random, *, deviation: float, memory_s: float) -> None:
        self._rng = rng
        self._keep = math.exp(-STEP_MS / 1000 / memory_s)
        self._kick = deviation * math.sqrt(1 - self._keep**2)
        self.value = rng.gauss(0.0, deviation)

    def step(self) -> float:
        """Move on by `STEP_MS`."""
        self.value = self.value * self._keep + self._rng.gauss(0.0, self._kick)
        return self.value


class Weather:
    """The air outside, and the daylight."""

    def __init__(self, rng: Random, *, temperature_c: float, swing_c: float, humidity: float, pm25: float) -> None:
        self._mean_c, self._swing_c, self._mean_pm25 = temperature_c, swing_c, pm25
        self._warmth = Drift(rng, deviation=0.4, memory_s=3600)
        self._dust = Drift(rng, deviation=0.15, memory_s=5400)
        self._cloud = Drift(rng, deviation=0.25, memory_s=1200)
        vapour = saturation_g_m3(temperature_c) * humidity / 100
        self.air = Air(CO2_OUTSIDE_PPM, temperature_c, vapour, pm25)
        self.daylight_lx = 0.0

    def step(self, local_ms: int) -> None:
        """Move on by `STEP_MS`, to that many milliseconds of local time."""
        day = (local_ms % _DAY_MS) / _DAY_MS
        # warmest at three in the afternoon
        swing = self._swing_c * math.cos(2 * math.pi * (day - 15 / 24))
        self.air.temperature_c = self._mean_c + swing + self._warmth.step()
        self.air.pm25 = max(1.0, self._mean_pm25 * (1 + self._dust.step()))
        sun = math.sin(math.pi * (day - 0.25) / 0.48) if 0.25 < day < 0.73 else 0.0
        clear = min(1.0, max(0.2, 0.65 + self._cloud.step()))
        self.daylight_lx = 70_000.0 * max(0.0, sun) * clear
