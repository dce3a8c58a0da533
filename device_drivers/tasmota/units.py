"""Values in the vocabulary's units: a Tasmota message says its own in `TempUnit`, `PressureUnit` and `SpeedUnit`.

Source: tasmota.github.io/docs, "Commands", SetOption8 (Celsius or Fahrenheit), SetOption24 (hPa or mmHg, inHg) and
SpeedUnit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from device_drivers.units import known_conversion
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPERATURES: Final = frozenset({"temperature", "dew_point", "device_temperature"})
_STATED: Final = frozenset({"°C", "°F", "hPa", "mmHg", "inHg", "m/s", "km/h", "kn", "mph"})
"""What a device can be set to; another word is not what the documents have."""


def in_vocabulary_unit(quantity_id: str, value: float, document: Mapping[str, Any]) -> float | None:
    """`value` converted from the unit that the message states; None when that unit is unknown."""
    if quantity_id in _TEMPERATURES:
        unit = f"°{document.get('TempUnit', 'C')}"
    elif quantity_id == "atmospheric_pressure":
        unit = str(document.get("PressureUnit", "hPa"))
    elif quantity_id == "wind_speed":
        unit = str(document.get("SpeedUnit"))
    else:
        return value
    terms = known_conversion(unit, quantity(quantity_id).unit) if unit in _STATED else None
    return None if terms is None else value * terms[0] + terms[1]
