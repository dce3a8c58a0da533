"""Units that devices state, and how a number in one becomes a number in the vocabulary's: a factor and a shift.

A table, since the units of classroom devices are a handful; it is checked against pint in tests. What needs more than
a factor and a shift (parts per million to mass, anything logarithmic) is no conversion of a unit and stands in none.
"""

from __future__ import annotations

from typing import Final

_DEGREE_F: Final = 5 / 9
_TO_KELVIN: Final = 273.15

CONVERSIONS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "Cel": {"°C": (1, 0), "°F": (_DEGREE_F, -32 * _DEGREE_F), "K": (1, -_TO_KELVIN)},
    "%": {"%": (1, 0), "1": (100, 0)},
    "[ppm]": {"ppm": (1, 0), "ppb": (1e-3, 0), "%": (1e4, 0)},
    "[ppb]": {"ppb": (1, 0), "ppm": (1e3, 0)},
    "ug/m3": {"µg/m³": (1, 0), "mg/m³": (1e3, 0)},
    "/cm3": {"1/cm³": (1, 0), "1/dL": (1e-2, 0), "1/L": (1e-3, 0), "1/m³": (1e-6, 0)},
    "lx": {"lx": (1, 0), "klx": (1e3, 0)},
    "hPa": {"hPa": (1, 0), "mbar": (1, 0), "Pa": (1e-2, 0), "kPa": (10, 0), "mmHg": (1.33322387415, 0)},
    "m/s": {"m/s": (1, 0), "km/h": (1 / 3.6, 0)},
    "W": {"W": (1, 0), "mW": (1e-3, 0), "kW": (1e3, 0)},
    "V.A": {"VA": (1, 0), "kVA": (1e3, 0)},
    "V.A{reactive}": {"var": (1, 0), "kvar": (1e3, 0)},
    "kW.h": {"kWh": (1, 0), "Wh": (1e-3, 0), "MWh": (1e3, 0), "kJ": (1 / 3600, 0), "MJ": (1 / 3.6, 0)},
    "V": {"V": (1, 0), "mV": (1e-3, 0), "kV": (1e3, 0)},
    "A": {"A": (1, 0), "mA": (1e-3, 0)},
    "Hz": {"Hz": (1, 0), "kHz": (1e3, 0)},
    "h": {"h": (1, 0), "min": (1 / 60, 0), "s": (1 / 3600, 0), "d": (24, 0)},
}
"""By the vocabulary's unit (UCUM), then by the device's as people write it."""


def conversion(unit: str, to: str) -> tuple[float, float]:
    """Factor and shift from a device's unit to the vocabulary's. Raises ValueError, with what there is."""
    known = CONVERSIONS.get(to, {})
    if unit not in known:
        raise ValueError(f"unit {unit!r} does not become {to!r}; there is: {', '.join(known) or 'none'}")
    return known[unit]
