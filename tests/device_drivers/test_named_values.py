"""Names that devices give: what is understood of them, and that nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.channels import is_channel
from device_drivers.field_rows import FieldRow
from device_drivers.named_values import NamedValues

KEYS = {
    "temperature": "temperature",
    "power": "power",
    "apparent_power": "apparent_power",
    "pm2_5": "pm25",
    "co2": "carbon_dioxide",
}
TABLE = NamedValues(FieldRow(key=key, quantity=quantity) for key, quantity in KEYS.items())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("temperature", ("temperature", "")),
        ("Room Temperature", ("temperature", "")),
        ("roomTemperature", ("temperature", "")),
        ("air/temperature_2", ("temperature", "2")),
        ("air/temperature07", ("temperature", "7")),
        ("probe-2/temperature", ("temperature", "2")),
        ("probe-2/temperature 3", ("temperature", "3")),
        ("scd41/temperature", ("temperature", "")),
        ("bus 300/temperature", ("temperature", "")),
        ("CO2", ("carbon_dioxide", "")),
        ("co2_2", ("carbon_dioxide", "2")),
        ("PM2.5", ("pm25", "")),
        ("Apparent Power", ("apparent_power", "")),
        ("temperature setpoint", None),
        ("temperature/Zhang San", None),
        ("", None),
        ("2", None),
    ],
)
def test_a_name_is_understood_by_its_end(name: str, found: tuple[str, str] | None) -> None:
    column = TABLE.find(name, "")
    assert (None if column is None else (column.quantity, column.channel)) == found


def test_a_unit_is_converted_or_refused() -> None:
    column = TABLE.find("power", "kW")
    assert column is not None
    assert column.number(2.5) == 2500
    assert TABLE.find("power", "kWh") is None


@given(st.text(max_size=200), st.text(max_size=10))
def test_no_name_becomes_a_channel_that_may_not_be_told(name: str, unit: str) -> None:
    for end in ("", "/temperature", " co2", "7"):
        column = TABLE.find(name + end, unit)
        assert column is None or is_channel(column.channel, frozenset())
