"""Values in the vocabulary's units: a Tasmota message says its own in `TempUnit` and `PressureUnit`.

Source: tasmota.github.io/docs, "Commands", SetOption8 (Celsius or Fahrenheit) and SetOption24 (hPa or mmHg, inHg).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPERATURES: Final = frozenset({"temperature", "dew_point", "device_temperature"})
_HECTOPASCAL: Final = {"hPa": 1.0, "mmHg": 1.33322387415, "inHg": 33.8638866667}


def in_vocabulary_unit(quantity: str, value: float, document: Mapping[str, Any]) -> float | None:
    """`value` converted from the unit that the message states; None when that unit is unknown."""
    if quantity in _TEMPERATURES:
        unit = document.get("TempUnit", "C")
        if unit == "F":
            return (value - 32) * 5 / 9
        return value if unit == "C" else None
    if quantity == "atmospheric_pressure":
        unit = document.get("PressureUnit", "hPa")
        factor = _HECTOPASCAL.get(unit) if isinstance(unit, str) else None
        return value * factor if factor is not None else None
    return value
