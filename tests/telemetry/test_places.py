"""A place is four opaque codes, and cannot be anything else."""

from __future__ import annotations

import pytest
from hypothesis import given

from telemetry import ContractViolation, MalformedPlace, Place, check_code
from tests.telemetry.strategies import CODES


@given(CODES, CODES, CODES, CODES)
def test_a_path_round_trips(district: str, school: str, building: str, room: str) -> None:
    """A place is written as district/school/building/room and read back equal."""
    place = Place(district, school, building, room)
    assert str(place) == f"{district}/{school}/{building}/{room}"
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("code", ["", "A-301", "a_301", "a 301", "王老师", "a/301", "a" * 33, "a-301\n", "a.301", "ａ"])
def test_what_is_not_a_code_is_refused(code: str) -> None:
    """Names, spaces, capitals and whole sentences are no codes, in any part of a place."""
    with pytest.raises(MalformedPlace, match="room"):
        check_code(code, "room")
    for position in range(4):
        parts = ["x"] * 4
        parts[position] = code
        with pytest.raises(ContractViolation):
            Place(*parts)


@pytest.mark.parametrize("path", ["", "a", "a/b/c", "a/b/c/d/e", "/a/b/c", "a/b/c/"])
def test_a_path_has_four_parts(path: str) -> None:
    """A path with more or fewer parts is no place."""
    with pytest.raises(MalformedPlace):
        Place.parse(path)


def test_places_sort_by_district_then_school() -> None:
    """Lists of rooms come in the order of their paths."""
    assert Place("a", "b", "c", "d") < Place("a", "b", "c", "e") < Place("a", "c", "a", "a") < Place("b", "a", "a", "a")
