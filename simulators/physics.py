"""The physics of a room: balances, solved exactly over steps in which nothing changes.

Every balance here has the form x' = k (x_end - x), so a step of any length is x_end + (x - x_end) exp(-k t):
unconditionally stable, and the same however fast the simulation runs. The same formulas serve one room, by numbers,
and all rooms of a school at once, by arrays.

A step only adds, subtracts, multiplies and divides, which IEEE 754 defines to the last bit; the exponentials are taken
beforehand, one by one, and cut to `_DIGITS` digits, where mathematics libraries agree. So one seed gives the same bytes
whatever numpy, and whatever processor, there is.

Sources of the figures:
- CO2 of a person: Persily and de Jonge, Indoor Air 27 (2017) 868, equations 9 to 11, with Schofield's basal rates
  for 10 to 18 years (table 3 there), the mean of both sexes;
- sensible heat 75 W and moisture 50 g/h of a seated person: ISO 7730, ASHRAE Fundamentals chapter 18;
- saturation vapour pressure: WMO-No. 8, annex 4.B (Magnus form);
- deposition of PM2.5 indoors, 0.2 per hour: Thatcher and Layton, Atmospheric Environment 29 (1995) 1487;
- sound of n equal talkers in a diffuse field: ISO 3741 (10 lg n, 10 lg 4/A) with Sabine's A = 0.16 V/T; raised voice,
  66 dB(A) at 1 m: ISO 9921, annex A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Level = TypeVar("Level", float, NDArray[np.float64])
else:
    Level = TypeVar("Level")

STEP_MS: Final = 10_000
SEATED_MET: Final = 1.4
"""At a desk, in units of the basal rate (Persily and de Jonge, table 2: 1.3 reading, 1.5 with light effort)."""
_TYPICAL_KG: Final = 50.0
CO2_OUTSIDE_PPM: Final = 425.0
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
QUIET_DB: Final = 35.0
"""An empty classroom: the limit that GB 50118 sets is 45 dB(A)."""
_TALKER_DB: Final = 66.0 + 8.0
"""Sound power of a raised voice: at 1 m before the mouth it is 8 dB below."""
_REVERBERATION_S: Final = 0.7
_DIGITS: Final = 12


def co2_generation_m3_s(*, body_kg: float = _TYPICAL_KG, met: float = SEATED_MET) -> float:
    """The CO2 that a pupil breathes out, at 22 degrees Celsius and 101.3 kPa."""
    boy, girl = 0.074 * body_kg + 2.754, 0.056 * body_kg + 2.898  # basal rates, MJ a day
    basal_mj_day = (boy + girl) / 2
    litres_s = 0.85 * basal_mj_day * met * (295.15 / 101.3) * 0.000211
    return litres_s / 1000


CO2_PER_PERSON_M3_S: Final = co2_generation_m3_s()


def decay(rate_per_s: float, seconds: float) -> float:
    """What is left after `seconds` of a distance that shrinks at that rate."""
    return round(math.exp(-rate_per_s * seconds), _DIGITS)


def saturation_g_m3(temperature_c: float) -> float:
    """Grams of water vapour that a cubic metre of air can hold."""
    pressure_hpa = 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
    return 216.7 * pressure_hpa / (273.15 + temperature_c)


@dataclass(slots=True)
class Air(Generic[Level]):
    """The state of a body of air, or of many."""

    co2_ppm: Level
    temperature_c: Level
    vapour_g_m3: Level
    pm25: Level

    @property
    def humidity(self: Air[float]) -> float:
        """Relative humidity in percent, of one body of air."""
        return min(99.0, 100.0 * self.vapour_g_m3 / saturation_g_m3(self.temperature_c))


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What goes on in a room during one step."""

    people: float
    air_changes_per_h: float
    heat_w: float = 0.0
    co2_m3_s: float = CO2_PER_PERSON_M3_S
    """Of each person."""


@dataclass(frozen=True, slots=True)
class Exchange(Generic[Level]):
    """What one rate of air change means for a room, or for each of many, over one step."""

    keep_gas: Level
    keep_dust: Level
    keep_heat: Level
    co2_ppm_per_person: Level
    """How far above the air outside each person brings it in the end; so the next three."""
    vapour_per_person: Level
    dust_per_person: Level
    dust_entering: Level
    """The share of the dust outside that is inside in the end."""
    loss_w_k: Level


def exchange(
    volume_m3: float, air_changes_per_h: float, seconds: float, co2_m3_s: float = CO2_PER_PERSON_M3_S
) -> Exchange[float]:
    """The exchange of one room."""
    change = air_changes_per_h / 3600
    removal = change + DEPOSITION_PER_S
    loss_w_k = volume_m3 * (LOSS_W_M3_K + change * AIR_HEAT_J_M3_K)
    supply_m3_s = volume_m3 * change
    return Exchange(
        keep_gas=decay(change, seconds),
        keep_dust=decay(removal, seconds),
        keep_heat=decay(loss_w_k / (volume_m3 * AIR_HEAT_J_M3_K * MASS_FACTOR), seconds),
        co2_ppm_per_person=co2_m3_s * 1e6 / supply_m3_s,
        vapour_per_person=VAPOUR_PER_PERSON_G_S / supply_m3_s,
        dust_per_person=RESUSPENSION_UG_S / volume_m3 / removal,
        dust_entering=change * PENETRATION / removal,
        loss_w_k=loss_w_k,
    )


def co2_steady_state_ppm(*, people: float, volume_m3: float, air_changes_per_h: float) -> float:
    """The CO2 that a room comes to rest at when nothing changes."""
    return CO2_OUTSIDE_PPM + people * exchange(volume_m3, air_changes_per_h, 1.0).co2_ppm_per_person


def step_air(air: Air[Level], by: Exchange[Level], people: Level, heat_w: Level, outside: Air[float]) -> None:
    """Move a room's air on by the exchange's step, `people` and `heat_w` (theirs left out) staying as they are."""
    co2_end = outside.co2_ppm + people * by.co2_ppm_per_person
    air.co2_ppm = co2_end + (air.co2_ppm - co2_end) * by.keep_gas
    vapour_end = outside.vapour_g_m3 + people * by.vapour_per_person
    air.vapour_g_m3 = vapour_end + (air.vapour_g_m3 - vapour_end) * by.keep_gas
    dust_end = by.dust_entering * outside.pm25 + people * by.dust_per_person
    air.pm25 = dust_end + (air.pm25 - dust_end) * by.keep_dust
    warmth_end = outside.temperature_c + (people * HEAT_PER_PERSON_W + heat_w) / by.loss_w_k
    air.temperature_c = warmth_end + (air.temperature_c - warmth_end) * by.keep_heat


def step_room(air: Air[float], volume_m3: float, use: Use, outside: Air[float], seconds: float) -> None:
    """Move one room's air on by `seconds` during which `use` and `outside` stay as they are."""
    by = exchange(volume_m3, use.air_changes_per_h, seconds, use.co2_m3_s)
    step_air(air, by, use.people, use.heat_w, outside)


def sound_db(*, talkers: float, volume_m3: float) -> float:
    """The sound pressure level, A-weighted, with so many people talking in a room."""
    if talkers <= 0:
        return QUIET_DB
    absorption_m2 = 0.16 * volume_m3 / _REVERBERATION_S
    voices_db = _TALKER_DB + 10 * math.log10(talkers * 4 / absorption_m2)
    return 10 * math.log10(10 ** (voices_db / 10) + 10 ** (QUIET_DB / 10))
