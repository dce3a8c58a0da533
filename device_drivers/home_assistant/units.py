"""Units as Home Assistant writes them, and how they become the vocabulary's.

Source: home-assistant.io/docs, "Sensor", units of each device class; BIPM, "The International System of Units".
"""

from __future__ import annotations

from typing import Final

from telemetry import quantity

_CONVERSIONS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    # unit of the vocabulary: {unit declared: (factor, then added)}
    "Cel": {"°C": (1, 0), "°F": (5 / 9, -160 / 9), "K": (1, -273.15)},
    "%": {"%": (1, 0)},
    "[ppm]": {"ppm": (1, 0), "ppb": (0.001, 0)},
    "[ppb]": {"ppb": (1, 0), "ppm": (1000, 0)},
    "ug/m3": {"µg/m³": (1, 0), "mg/m³": (1000, 0)},
    "lx": {"lx": (1, 0), "lux": (1, 0)},
    "dB[SPL]": {"dB": (1, 0), "dBA": (1, 0)},
    "hPa": {
        "hPa": (1, 0), "mbar": (1, 0), "Pa": (0.01, 0), "kPa": (10, 0), "bar": (1000, 0), "mmHg": (1.33322387415, 0),
        "inHg": (33.8638866667, 0),
    },
    "m/s": {"m/s": (1, 0), "km/h": (1 / 3.6, 0), "mph": (0.44704, 0), "kn": (1852 / 3600, 0)},
    "W": {"W": (1, 0), "mW": (0.001, 0), "kW": (1000, 0), "MW": (1_000_000, 0)},
    "V.A": {"VA": (1, 0), "kVA": (1000, 0)},
    "V.A{reactive}": {"var": (1, 0), "kvar": (1000, 0)},
    "kW.h": {"kWh": (1, 0), "Wh": (0.001, 0), "MWh": (1000, 0)},
    "V": {"V": (1, 0), "mV": (0.001, 0), "µV": (0.000_001, 0), "kV": (1000, 0)},
    "A": {"A": (1, 0), "mA": (0.001, 0)},
    "Hz": {"Hz": (1, 0), "kHz": (1000, 0), "MHz": (1_000_000, 0)},
    "{dBm}": {"dBm": (1, 0)},
    "1": {"": (1, 0), "%": (0.01, 0)},
}  # fmt: skip
_MICRO_SIGN, _GREEK_MU = "µ", "μ"


def conversion(quantity_id: str, declared: str) -> tuple[float, float] | None:
    """Factor and addend from the unit that was declared; None for one that cannot be converted."""
    return _CONVERSIONS.get(quantity(quantity_id).unit, {}).get(declared.replace(_GREEK_MU, _MICRO_SIGN))
