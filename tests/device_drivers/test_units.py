"""The units that devices state: every conversion of our table is pint's."""

from __future__ import annotations

import pint
import pytest

from device_drivers.units import CONVERSIONS, conversion, known_conversion
from telemetry import quantities

NAMES = {
    "%": "percent", "1": "dimensionless", "[ppm]": "ppm", "[ppb]": "ppb", "Cel": "degC", "°C": "degC", "°F": "degF",
    "K": "kelvin", "ug/m3": "µg/m**3", "µg/m³": "µg/m**3", "mg/m³": "mg/m**3", "/cm3": "1/cm**3", "1/cm³": "1/cm**3",
    "1/dL": "1/dL", "1/L": "1/L", "1/m³": "1/m**3", "V.A": "V*A", "VA": "V*A", "kVA": "kV*A", "V.A{reactive}": "V*A",
    "var": "V*A", "kvar": "kV*A", "kW.h": "kW*h", "kWh": "kW*h", "Wh": "W*h", "MWh": "MW*h", "klx": "kilolux",
    "lx": "lux", "d": "day", "mbar": "mbar", "inHg": "inch_Hg", "mph": "mile/hour", "kn": "knot",
    "dB[SPL]": "dimensionless", "dB": "dimensionless", "dBA": "dimensionless", "{dBm}": "dimensionless",
    "dBm": "dimensionless", "": "dimensionless",
}  # fmt: skip
"""What pint calls the units that it calls otherwise."""
PAIRS = [(unit, to) for to, known in CONVERSIONS.items() for unit in known]


@pytest.fixture(scope="module")
def registry() -> pint.UnitRegistry[float]:
    made: pint.UnitRegistry[float] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    made.define("ppb = 1e-9")
    return made


@pytest.mark.parametrize(("unit", "to"), PAIRS)
def test_a_conversion_is_pints(unit: str, to: str, registry: pint.UnitRegistry[float]) -> None:
    factor, shift = conversion(unit, to)
    for value in (-10.0, 0.0, 72.5):
        theirs = registry.Quantity(value, NAMES.get(unit, unit)).to(NAMES.get(to, to)).magnitude
        assert value * factor + shift == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("written", "unit", "to"),
    [
        ("degC", "°C", "Cel"), ("Deg F", "°F", "Cel"), ("℃", "°C", "Cel"), ("C", "°C", "Cel"), ("%RH", "%", "%"),
        ("PPM", "ppm", "[ppm]"), ("ug/m3", "µg/m³", "ug/m3"), ("μg/m3", "µg/m³", "ug/m3"), ("dB(A)", "dBA", "dB[SPL]"),
        ("Lux", "lx", "lx"), ("KW", "kW", "W"), ("KWH", "kWh", "kW.h"), (" Volts ", "V", "V"), ("Amps", "A", "A"),
    ],
)  # fmt: skip
def test_a_unit_is_known_however_people_write_it(written: str, unit: str, to: str) -> None:
    assert known_conversion(written, to) == CONVERSIONS[to][unit]


@pytest.mark.parametrize(
    ("written", "to"), [("mw", "W"), ("MWH", "kW.h"), ("F", "lx"), ("degrees", "Cel"), (" ", "Cel")]
)
def test_a_unit_that_could_be_two_or_none_is_not_guessed(written: str, to: str) -> None:
    assert known_conversion(written, to) is None


def test_every_unit_that_is_converted_to_is_the_vocabularys() -> None:
    assert CONVERSIONS.keys() <= {entry.unit for entry in quantities()}


def test_a_unit_that_is_none_of_the_quantitys_is_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="'ppm' does not become 'ug/m3'; there is: µg/m³, mg/m³"):
        conversion("ppm", "ug/m3")
    with pytest.raises(ValueError, match="there is: none"):
        conversion("px", "{pixel}")
