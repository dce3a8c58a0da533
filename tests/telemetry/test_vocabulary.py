"""The one table of quantities says everything that is needed to admit, summarise, name and withhold a value."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import FIELDS_OF, PrivacyClass, Quantity, Summarise, UnknownQuantity, quantities, quantity
from telemetry.quantities import row_to_ticks

TABLE = list(quantities())
UCUM = {
    "1", "%", "Cel", "[ppm]", "[ppb]", "ug/m3", "/cm3", "lx", "dB[SPL]", "hPa", "m/s", "W", "V.A", "V.A{reactive}",
    "kW.h", "V", "A", "Hz", "h", "{lqi}", "{dBm}", "{pixel}", "{frame}",
}  # fmt: skip
"""Codes and annotations of https://ucum.org/ucum that the vocabulary uses; a new one is looked up there first."""
REQUIRED = {
    # design: home assistant's names for the common ones
    "carbon_dioxide", "temperature", "humidity", "pm25", "illuminance", "sound_pressure", "power", "energy", "battery",
    # influenced by people
    "pm1", "pm10", "volatile_organic_compounds", "formaldehyde", "motion", "occupancy", "opening",
    # derived from people
    "people_count", "seats_in_use", "vr_seats_in_use", "people_in", "people_out",
    # health of devices
    "connectivity", "fault", "battery_low", "link_quality", "signal_strength", "switch", "display_power", "lamp_hours",
    "headset_worn", "battery_charging", "dropped_frames", "frame_rate", "thermal_state", "voltage", "current",
    # safety
    "smoke", "gas", "water_leak", "electrical_overload",
}  # fmt: skip


def test_nothing_that_is_needed_is_missing() -> None:
    """At least 35 quantities, with each that drivers, windows and class rules name."""
    assert len(TABLE) >= 35
    assert {entry.id for entry in TABLE} >= REQUIRED


def test_ids_and_names_are_each_ones_own() -> None:
    """An id, a Chinese and an English name stand for one quantity."""
    for names in ([e.id for e in TABLE], [e.name_zh for e in TABLE], [e.name_en for e in TABLE]):
        assert len(set(names)) == len(names)
        assert all(name.strip() == name != "" for name in names)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.id)
def test_an_entry_is_sane(entry: Quantity) -> None:
    """Each entry has a code, a UCUM unit, a resolution that the range can be written in, and what its kind needs."""
    assert re.fullmatch(r"[a-z][a-z0-9_]{1,63}", entry.id)
    assert entry.unit in UCUM
    assert entry.symbol or entry.unit in ("1", "{lqi}", "{frame}")
    assert 0 <= entry.decimals <= 3
    assert entry.minimum < entry.maximum
    assert len(str(entry.to_ticks(entry.maximum))) <= 15  # a float holds every tick exactly
    for bound in (entry.minimum, entry.maximum):
        assert entry.to_value(entry.to_ticks(bound)) == bound
        assert entry.is_plausible(bound)
    assert entry.label("zh") == entry.name_zh
    assert entry.label("en") == entry.name_en
    if entry.summarise is Summarise.FLAG:
        assert (entry.unit, entry.minimum, entry.maximum, entry.decimals) == ("1", 0, 1, 0)
    if entry.summarise in (Summarise.STATE, Summarise.EVENT):
        assert (entry.unit, entry.minimum, entry.maximum) == ("1", 0, len(entry.states) - 1)
        assert len(set(entry.states)) == len(entry.states) >= 2
    if entry.summarise is Summarise.COUNTER:
        assert entry.minimum == 0


def test_what_people_do_is_never_summarised_as_it_is() -> None:
    """Counts of people leave as noised values or not at all; nothing personal is in the table; safety is events."""
    for entry in TABLE:
        assert entry.least_class is not PrivacyClass.X
        assert (entry.least_class is PrivacyClass.P2) == (entry.summarise in (Summarise.COUNT, Summarise.NEVER))
        assert (entry.least_class is PrivacyClass.S) == (entry.summarise is Summarise.EVENT)
    assert set(FIELDS_OF) == set(Summarise)


@given(st.sampled_from(TABLE), st.data())
def test_ticks_round_trip(entry: Quantity, data: st.DataObject) -> None:
    """Ticks become a value and a text, and either brings back the same ticks."""
    ticks = data.draw(st.integers(entry.to_ticks(entry.minimum), entry.to_ticks(entry.maximum)))
    assert entry.to_ticks(entry.to_value(ticks)) == ticks
    text = entry.to_text(ticks)
    assert entry.to_ticks(float(text)) == ticks
    assert len(text.partition(".")[2]) == entry.decimals


@pytest.mark.parametrize(("value", "ticks"), [(21.504, 2150), (21.506, 2151), (-0.004, 0), (-0.006, -1), (0.25, 25)])
def test_ticks_are_rounded_to_the_nearest(value: float, ticks: int) -> None:
    """A value between two ticks goes to the nearer one."""
    assert quantity("temperature").to_ticks(value) == ticks


@given(st.data())
def test_a_row_has_the_ticks_of_each_of_its_values(data: st.DataObject) -> None:
    """Those of a whole row are what each quantity says by itself, in the order that was asked for."""
    entries = data.draw(st.lists(st.sampled_from(TABLE), min_size=1, max_size=8))
    values = [data.draw(st.floats(entry.minimum, entry.maximum)) for entry in entries]
    places = data.draw(st.permutations(range(len(entries))))
    ticks = row_to_ticks(values, [(place, entries[place].ticks_per_unit) for place in places])
    assert ticks == [entries[place].to_ticks(values[place]) for place in places]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e308, -1e308])
def test_what_no_device_measures_is_implausible(value: float) -> None:
    """NaN, the infinities and the absurd are outside every range, and never become ticks by accident."""
    for entry in TABLE:
        assert not entry.is_plausible(value)
    if abs(value) != 1e308:
        with pytest.raises((OverflowError, ValueError)):
            quantity("temperature").to_ticks(value)


def test_an_unknown_quantity_says_where_to_look() -> None:
    """A name the table lacks is an error that leads to the table."""
    with pytest.raises(UnknownQuantity, match="heart_rate") as caught:
        quantity("heart_rate")
    assert caught.value.fix == "see docs/vocabulary.md"
