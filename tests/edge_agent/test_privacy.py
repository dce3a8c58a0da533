"""What may leave: the class of every reading by quantity, placement and role, and what each class tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.privacy.classes import SWITCHED, classify
from edge_agent.privacy.rules import Rule, nearest
from edge_agent.timetable import CompiledTimetable
from edge_agent.windows import Cadence, Window, aggregate
from telemetry import Placement, PrivacyClass, Role, Summarise, quantities, quantity
from tests.edge_agent.harness import HOUR, MONDAY_9, STRICT, TIMETABLE

if TYPE_CHECKING:
    from telemetry import Quantity

E, P1, P2, DA, DB, S = (
    PrivacyClass.E, PrivacyClass.P1, PrivacyClass.P2, PrivacyClass.DA, PrivacyClass.DB, PrivacyClass.S,
)  # fmt: skip
INDOOR, OUTDOOR, PLANT = Placement.INDOOR, Placement.OUTDOOR, Placement.PLANT
AT_ONCE_OR_NEVER = (P2, S)
TOLD = [entry for entry in quantities() if entry.least_class not in AT_ONCE_OR_NEVER]
RANK = {E: 0, P1: 1, DA: 1, DB: 2, P2: 3, S: 3, PrivacyClass.X: 4}


@pytest.mark.parametrize(
    ("name", "placement", "role", "expected"),
    [
        ("temperature", OUTDOOR, Role.ROOM_SENSOR, E),
        ("temperature", PLANT, Role.INFRASTRUCTURE, E),
        ("temperature", INDOOR, Role.ROOM_SENSOR, P1),
        ("carbon_dioxide", INDOOR, Role.ROOM_SENSOR, P1),
        ("sound_pressure", OUTDOOR, Role.ROOM_SENSOR, P1),
        ("motion", INDOOR, Role.ROOM_SENSOR, P1),
        ("opening", INDOOR, Role.SAFETY, P1),
        ("power", INDOOR, Role.ROOM_METER, P1),
        ("power", PLANT, Role.ROOM_METER, E),
        ("power", INDOOR, Role.PLUG, DB),
        ("power", OUTDOOR, Role.DISPLAY, DB),
        ("battery", INDOOR, Role.ROOM_SENSOR, DA),
        ("battery", INDOOR, Role.VR_STATION, DB),
        ("headset_worn", INDOOR, Role.VR_STATION, DB),
        ("headset_worn", INDOOR, Role.ROOM_SENSOR, DB),
        ("display_power", INDOOR, Role.INFRASTRUCTURE, DB),
        ("switch", INDOOR, Role.ROOM_SENSOR, DB),
        ("display_power", INDOOR, Role.DISPLAY, DB),
        ("fault", INDOOR, Role.COMPUTER, DB),
        ("link_quality", OUTDOOR, Role.ROOM_SENSOR, DA),
        ("people_count", OUTDOOR, Role.INFRASTRUCTURE, P2),
        ("people_in", INDOOR, Role.PEOPLE_COUNTER, P2),
        ("vr_seats_in_use", INDOOR, Role.VR_STATION, P2),
        ("smoke", INDOOR, Role.DISPLAY, S),
        ("water_leak", PLANT, Role.SAFETY, S),
    ],
)
def test_the_class_of_a_reading(name: str, placement: Placement, role: Role, expected: PrivacyClass) -> None:
    """Section 3 of the design, row by row."""
    assert classify(quantity(name), placement, role) is expected


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("placement", Placement)
def test_no_class_is_ever_lowered(role: Role, placement: Placement) -> None:
    """From the quantity's least class upwards; what people switch is D(b), whatever it measures."""
    for entry in quantities():
        found = classify(entry, placement, role)
        assert RANK[found] >= RANK[entry.least_class]
        if role in SWITCHED:
            assert found is DB or entry.least_class in AT_ONCE_OR_NEVER
        if placement is INDOOR:
            assert found is not E


@pytest.mark.parametrize(
    ("name", "privacy_class", "hour", "length_s"),
    [
        ("temperature", E, 9, 60),
        ("power", E, 9, 60),
        ("temperature", P1, 9, 900),
        ("temperature", P1, 12, 3600),
        ("motion", P1, 9, 900),
        ("power", P1, 9, 3600),
        ("energy", P1, 9, 3600),
        ("current", P1, 9, 3600),
        ("battery", DA, 9, 900),
        ("battery", DA, 3, 900),
        ("fault", DA, 9, 3600),
        ("display_power", DB, 9, 86_400),
        ("power", DB, 9, 86_400),
        ("headset_worn", DB, 9, 86_400),
    ],
)
def test_the_windows_of_a_class(name: str, privacy_class: PrivacyClass, hour: int, length_s: int) -> None:
    """How long a window is, in lesson time and outside it."""
    moment = MONDAY_9 + (hour - 9) * HOUR
    assert Rule(quantity(name), privacy_class, STRICT).window_at(moment, CompiledTimetable(TIMETABLE))[1] == length_s


def test_room_electricity_is_never_finer_than_an_hour() -> None:
    """By the lesson it would be a record of the lesson: nothing that a room meter measures comes finer."""
    compiled = CompiledTimetable(TIMETABLE)
    for name in ("power", "apparent_power", "reactive_power", "power_factor", "energy", "current"):
        assert Rule(quantity(name), P1, STRICT).window_at(MONDAY_9, compiled)[1] == 3600


def test_values_are_coarsened() -> None:
    """CO2 to 50 ppm and sound to whole dB in class P1; outdoors they stay as they are."""
    assert Rule(quantity("carbon_dioxide"), P1, STRICT).told({"mean": 824})["mean"] == 800
    assert Rule(quantity("carbon_dioxide"), P1, STRICT).told({"mean": 825})["mean"] == 850
    assert Rule(quantity("sound_pressure"), P1, STRICT).told({"mean": 554})["mean"] == 550
    assert Rule(quantity("sound_pressure"), P1, STRICT).told({"mean": 555})["mean"] == 560
    assert Rule(quantity("carbon_dioxide"), E, STRICT).told({"mean": 824})["mean"] == 824


@given(st.integers(0, 1000))
def test_what_people_switch_is_told_in_half_hours(permille: int) -> None:
    """The share of a day that a board was on is one of 49 values, at most a quarter hour off."""
    told = Rule(quantity("display_power"), DB, STRICT).told({"on_permille": permille})["on_permille"]
    half_hours = told * 48 / 1000
    assert abs(half_hours - round(half_hours)) < 0.03
    assert abs(told - permille) <= 11
    assert 0 <= told <= 1000


@pytest.mark.parametrize(
    ("n", "expected", "told"),
    [
        (53, 1440, 60),
        (74, 1440, 60),
        (75, 1440, 90),
        (14, 1440, 1),
        (1440, 1440, 1440),
        (7, 24, 7),
        (1, 1, 1),
    ],
)
def test_how_long_what_people_switch_was_heard_is_told_in_half_hours(n: int, expected: int, told: int) -> None:
    """A station that is silent while it is off would tell by its slots for how many minutes it was on."""
    fields = {"mean": 40, "n": n, "expected": expected}
    assert Rule(quantity("battery"), DB, STRICT).told(fields) == {**fields, "n": told}
    assert Rule(quantity("battery"), DA, STRICT).told(fields)["n"] == n


def test_hours_of_operation_are_told_in_half_hours() -> None:
    """A counter of hours says no more of a day than the share of it does."""
    assert Rule(quantity("operating_time"), DB, STRICT).told({"delta": 33})["delta"] == 35
    assert Rule(quantity("operating_time"), DA, STRICT).told({"delta": 33})["delta"] == 33
    assert Rule(quantity("lamp_hours"), DB, STRICT).told({"delta": 3})["delta"] == 3


@given(st.integers(-10_000, 10_000), st.integers(1, 500))
def test_the_nearest_step(number: int, step: int) -> None:
    """A multiple, at most half a step off."""
    found = nearest(number, step)
    assert found % step == 0
    assert 2 * abs(found - number) <= step


def fields_of(entry: Quantity, privacy_class: PrivacyClass) -> set[str]:
    window = Window(0, 900)
    for slot in range(15):
        window.put(slot * 60_000, entry.to_ticks(entry.minimum) + slot % 2, Cadence(60_000, 60_000))
    return set(Rule(entry, privacy_class, STRICT).told(aggregate(entry, window, None, Cadence(60_000, 60_000))))


@pytest.mark.parametrize("entry", TOLD, ids=lambda entry: str(entry.id))
def test_indoors_no_single_moment_leaves(entry: Quantity) -> None:
    """Of class P1 never a minimum, a maximum or a last value: each is one moment's; of D(b) never the last."""
    assert not fields_of(entry, P1) & {"min", "max", "last"}
    assert not fields_of(entry, DB) & {"min", "last"}
    assert {"n", "expected"} <= fields_of(entry, P1)


def test_the_fields_of_a_class() -> None:
    """Outdoors all of a mean's fields leave; of a device nobody switches its last state too."""
    temperature, fault = quantity("temperature"), quantity("fault")
    assert fields_of(temperature, E) == {"mean", "min", "max", "n", "expected"}
    assert fields_of(temperature, P1) == {"mean", "n", "expected"}
    assert fields_of(quantity("battery"), DA) == {"mean", "n", "expected", "max"}
    assert fields_of(fault, DA) == {"last", "max", "n", "expected"}
    assert fields_of(quantity("lamp_hours"), DB) == {"delta", "n", "expected"}


def test_what_is_withheld() -> None:
    """People until their budget exists, and what is never told; safety is told at once and nothing else is."""
    for entry in quantities():
        rule = Rule(entry, classify(entry, INDOOR, Role.ROOM_SENSOR), STRICT)
        assert rule.is_withheld == (entry.least_class is P2 or entry.summarise is Summarise.NEVER)
        assert rule.is_event == (entry.id in ("smoke", "gas", "water_leak", "electrical_overload"))
