"""What `bansui privacy explain` and `doctor` say of people counts: the noise, what a number is worth, the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bansui.counts_text import counts_told
from edge_agent.privacy.noise import NoiseMissing
from edge_agent.privacy.plan import plan_counts
from tests.edge_agent.harness import STANDARD, TIMETABLE, bind

if TYPE_CHECKING:
    from telemetry.policy import CountsTable

DEVICES = [
    bind("door", ("people_count",), policy=STANDARD),
    bind("seats", ("seats_in_use", "people_in"), policy=STANDARD, room="a-302"),
]


def table(**changes: object) -> CountsTable:
    return STANDARD.tables.P2.model_copy(update=changes)


def test_the_plan_counts_what_one_person_can_move() -> None:
    """Quantities of the campus together, of rooms the most of one; entry counters are none; rooms by their number."""
    campus = plan_counts(table(), DEVICES, TIMETABLE)
    rooms = plan_counts(table(export="room", rooms_per_slot=3), DEVICES, TIMETABLE)
    both = plan_counts(table(rooms_per_slot=3), DEVICES, TIMETABLE)
    assert campus is not None
    assert rooms is not None
    assert both is not None
    assert [(each.statistics, each.budget.weight) for each in (campus, rooms, both)] == [(2, 2), (1, 3), (2, 18)]
    assert {each.budget.slots for each in (campus, rooms, both)} == {6}
    assert plan_counts(table(), [bind("gate", ("people_in",), policy=STANDARD)], TIMETABLE) is None
    assert [campus.band(noisy) for noisy in (0, 19, 20, 49, 50, 199, 200, 9999)] == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("language", "by_room", "sentences"),
    [
        ("en", False, ["at most 6 a day", "sigma 7.75", "within 16", "rho 0.100: epsilon 2.1", "rho 10.0, epsilon 32"]),
        ("en", True, ["of each room", "sigma 5.48", "within 11", "Of a class of 45, that is 24 % either way"]),
        ("zh", False, ["每天最多 6 次", "sigma 为 7.75", "相差不超过 16", "合计 rho 10.0"]),
        ("zh", True, ["每个教室", "对 45 人的班级即上下各 24 %"]),
    ],
)
def test_it_says_what_a_number_is_worth(language: str, by_room: bool, sentences: list[str]) -> None:
    plan = plan_counts(table(export="room" if by_room else "campus"), DEVICES, TIMETABLE)
    assert plan is not None
    told = counts_told(plan, language).replace("\n", " " if language == "en" else "")
    assert all(sentence in told for sentence in sentences), told


def test_without_opendp_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_budget: object) -> None:
        raise NoiseMissing("OpenDP is not there", fix="install it")

    monkeypatch.setattr("bansui.counts_text.discrete_gaussian", missing)
    plan = plan_counts(table(), DEVICES, TIMETABLE)
    assert plan is not None
    assert "not told at present: OpenDP is not there; install it." in counts_told(plan, "en").replace("\n", " ")
