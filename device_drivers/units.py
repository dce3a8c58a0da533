"""Units that devices state, and how a number in one becomes a number in the vocabulary's: a factor and a shift.

A table, since the units of classroom devices are a handful; it is checked against pint in tests. What needs more than
a factor and a shift (parts per million to mass, anything logarithmic) is no conversion of a unit and stands in none.
Names are those of Home Assistant, home-assistant.io/docs, "Sensor", units of each device class.
"""

from __future__ import annotations

from typing import Final

_FAHRENHEIT: Final = (5 / 9, -160 / 9)
_SAME: Final = (1.0, 0.0)
_MICRO_SIGN, _GREEK_MU = "µ", "μ"

CONVERSIONS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "Cel": {"°C": _SAME, "°F": _FAHRENHEIT, "K": (1, -273.15)},
    "%": {"%": _SAME, "1": (100, 0)},
    "[ppm]": {"ppm": _SAME, "ppb": (1e-3, 0)},
    "[ppb]": {"ppb": _SAME, "ppm": (1e3, 0)},
    "ug/m3": {"µg/m³": _SAME, "mg/m³": (1e3, 0)},
    "/cm3": {"1/cm³": _SAME, "1/dL": (1e-2, 0), "1/L": (1e-3, 0), "1/m³": (1e-6, 0)},
    "lx": {"lx": _SAME, "lux": _SAME, "klx": (1e3, 0)},
    "dB[SPL]": {"dB": _SAME, "dBA": _SAME},
    "hPa": {
        "hPa": _SAME, "mbar": _SAME, "Pa": (1e-2, 0), "kPa": (10, 0), "bar": (1e3, 0), "mmHg": (1.33322387415, 0),
        "inHg": (33.8638866667, 0),
    },
    "m/s": {"m/s": _SAME, "km/h": (1 / 3.6, 0), "mph": (0.44704, 0), "kn": (1852 / 3600, 0)},
    "W": {"W": _SAME, "mW": (1e-3, 0), "kW": (1e3, 0), "MW": (1e6, 0)},
    "V.A": {"VA": _SAME, "kVA": (1e3, 0)},
    "V.A{reactive}": {"var": _SAME, "kvar": (1e3, 0)},
    "kW.h": {"kWh": _SAME, "Wh": (1e-3, 0), "MWh": (1e3, 0), "kJ": (1 / 3600, 0), "MJ": (1 / 3.6, 0)},
    "V": {"V": _SAME, "µV": (1e-6, 0), "mV": (1e-3, 0), "kV": (1e3, 0)},
    "A": {"A": _SAME, "mA": (1e-3, 0)},
    "Hz": {"Hz": _SAME, "kHz": (1e3, 0), "MHz": (1e6, 0)},
    "h": {"h": _SAME, "min": (1 / 60, 0), "s": (1 / 3600, 0), "d": (24, 0)},
    "{dBm}": {"dBm": _SAME},
    "1": {"": _SAME, "%": (1e-2, 0)},
}  # fmt: skip
"""By the vocabulary's unit (UCUM), then by the device's as people write it."""


_SPELLINGS: Final = {
    "°C": ("c", "degc", "deg c", "℃", "celsius", "degrees celsius"),
    "°F": ("f", "degf", "deg f", "℉", "fahrenheit", "degrees fahrenheit"),
    "K": ("kelvin",),
    "%": ("percent", "pct", "%rh", "% rh", "rh%"),
    "ppm": ("ppm",), "ppb": ("ppb",),
    "µg/m³": ("ug/m3", "µg/m3", "ug/m³", "µg/m^3", "ug/m^3"),
    "mg/m³": ("mg/m3", "mg/m^3"),
    "lx": ("lx", "lux"),
    "dBA": ("db(a)", "dba"), "dB": ("db",),
    "hPa": ("hpa",), "kPa": ("kpa",), "mbar": ("mbar",),
    "W": ("w", "watt", "watts"), "kW": ("kw",), "VA": ("va",), "kVA": ("kva",), "var": ("var",), "kvar": ("kvar",),
    "kWh": ("kwh",), "Wh": ("wh",),
    "V": ("v", "volt", "volts"),
    "A": ("a", "amp", "amps", "ampere", "amperes"),
    "Hz": ("hz", "hertz"),
}  # fmt: skip
"""How else people write a unit, in small letters. None whose size its letters' size decides, as of mW and MW."""
_UNITS: Final = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}


def known_conversion(unit: str, to: str) -> tuple[float, float] | None:
    """Factor and shift from a device's unit to the vocabulary's; None for one that cannot be converted."""
    known, plain = CONVERSIONS.get(to, {}), unit.strip().replace(_GREEK_MU, _MICRO_SIGN)
    found = known.get(plain)
    return known.get(_UNITS.get(plain.lower(), plain)) if found is None else found


def conversion(unit: str, to: str) -> tuple[float, float]:
    """Factor and shift from a device's unit to the vocabulary's. Raises ValueError, with what there is."""
    found = known_conversion(unit, to)
    if found is None:
        there_is = ", ".join(CONVERSIONS.get(to, ())) or "none"
        raise ValueError(f"unit {unit!r} does not become {to!r}; there is: {there_is}")
    return found
