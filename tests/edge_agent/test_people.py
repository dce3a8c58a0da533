"""People counts, from readings to what is told: once, with noise, under the budget, by one copy of a store alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.events import Uncommitted
from edge_agent.privacy.people import SLOT_MS, OpenSlots
from edge_agent.slots import Held
from edge_agent.transactions import Kind
from tests.edge_agent.counting import DEVICES, MONDAY_8, ROOM_POLICY, School, counter, numbered
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SECOND, Bench

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.transactions import Transaction


@pytest.fixture
def school(tmp_path: Path) -> School:
    return School(tmp_path / "state")


def test_a_slot_of_the_campus_is_told_once_as_noisy_value_error_and_band(school: School) -> None:
    """At 08:00 it began; 08:00 to 12:00 has three whole hours in the timetable, of which each is one line."""
    school.work(4 * HOUR + 10 * MINUTE)
    told = school.counts()
    assert [each.start_ms for each in told] == [MONDAY_8, MONDAY_8 + HOUR, MONDAY_8 + 2 * HOUR]
    for each in told:
        assert each.fields == {"value": 90, "error95": 11, "band": 2}
        place = each.series.building, each.series.room, each.series.device, each.series.window_s, each.series.channel
        assert place == ("all", "all", "campus", 3600, "")
    assert school.slots("released") == 3
    assert school.audit().faults == []
    assert len(school.core.state.spending.charges) == 3
    school.stop()


@pytest.mark.parametrize(
    ("people", "off", "value", "band"), [(0, 0, 0, 0), (0, -40, 0, 0), (30, -90, 0, 0), (0, 600, 600, 3)]
)
def test_all_that_is_told_of_a_slot_follows_from_the_noisy_value(
    tmp_path: Path, people: int, off: int, value: int, band: int
) -> None:
    """The band, too; and an empty school pays like a full one."""
    school = School(tmp_path, make_noise=lambda _budget: lambda exact: exact + off)
    school.work(HOUR + 10 * MINUTE, people)
    [told] = school.counts()
    assert told.fields == {"value": value, "error95": 11, "band": band}
    assert list(school.core.state.spending.charges) == [MONDAY_8]
    school.stop()


def test_nothing_of_people_is_told_outside_the_timetable_nor_by_the_default_policy(tmp_path: Path) -> None:
    """After school nothing is told, whatever is counted, and the last hour alone is known; under `strict` nothing."""
    evening = School(tmp_path / "evening", at_ms=MONDAY_8 + 9 * HOUR)
    evening.work(5 * HOUR, 17)
    assert evening.counts() == []
    assert list(evening.core.people._slots._open) == [MONDAY_8 + 13 * HOUR]
    evening.stop()
    strict = Bench(tmp_path / "strict", at_ms=MONDAY_8)
    for _ in range(30):
        strict.read("door", ["people_count", 20])
        strict.until_closed(5 * MINUTE)
    assert not [line for line in strict.told() if "people" in line]
    assert strict.core.people.obstacle == "policy"
    assert strict.core.people._slots._open == {}
    assert strict.audit().balance["withheld"] == 30
    strict.stop()


def test_each_room_is_told_under_its_own_name_where_the_operator_asks_for_it(tmp_path: Path) -> None:
    """Sums over the devices of a room; the room's code in place of a device's."""
    devices = (
        counter("door", policy=ROOM_POLICY),
        counter("back", policy=ROOM_POLICY),
        counter("hall", "a-302", ROOM_POLICY),
    )
    school = School(tmp_path, devices=(*devices, DEVICES[2]), policy=ROOM_POLICY)
    for _ in range(13):
        school.read("back", ["people_count", 5, "", school.clock.now()])
        school.work(5 * MINUTE)
    told = {each.series.room: (each.series.device, each.fields["value"]) for each in school.counts()}
    assert told == {"a-301": ("a-301", 35), "a-302": ("a-302", 60)}
    school.stop()


def test_values_of_people_are_nowhere_on_the_disk(tmp_path: Path) -> None:
    """Neither in the journal nor in a checkpoint, nor what was exact of a slot: their number is counted, no more."""
    school = School(tmp_path / "state", make_noise=numbered, devices=DEVICES)
    school.work(70 * MINUTE, 1347)
    school.checkpoint()
    assert [each.fields["value"] for each in school.counts()] == [1000]
    assert school.audit().balance["withheld"] == 28
    texts = [str(each) for each in school.core.state.counts.items()]
    school.store.close()
    data = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    for number in (1347, 2694, 4041):
        needles = [str(number).encode(), number.to_bytes(8, "little"), number.to_bytes(2, "big")]
        assert not any(needle in data for needle in needles[:2])
        assert not any(re.search(rf"\b{number}\b", text) for text in texts)


def test_the_same_transaction_is_tried_until_it_is_on_disk(tmp_path: Path) -> None:
    """No room: the noise that was drawn stays, however often the disk refuses."""
    school = School(tmp_path, make_noise=numbered)
    school.work(HOUR)
    transactions: list[Transaction] = []

    def refuse(transaction: Transaction) -> bool:
        if transaction.kind is Kind.RELEASE and len(transactions) < 5:
            transactions.append(transaction)
            school.play(Uncommitted(school.commits.pop()))
            return True
        return False

    school.watch(10 * MINUTE, refuse)
    assert len({id(each) for each in transactions}) == 1
    assert len(transactions) == 5
    assert [each.fields["value"] for each in school.counts()] == [1000]
    school.stop()


def test_a_crash_at_any_moment_tells_a_slot_once_or_never(tmp_path: Path) -> None:
    """Before, while and after it is told: one value and one charge, or neither; never drawn again."""
    told_by_moment = []
    for number in range(24):
        school = School(tmp_path / f"{number}", make_noise=numbered)
        school.work(HOUR, step=30 * MINUTE)
        for _ in range(number):
            school.pass_time(10 * SECOND)
            if school.commits and number % 2:
                school.commit()
        if school.commits and number % 3:
            school.store.commit(school.commits[0])
        school.restart()
        school.work(HOUR, step=30 * MINUTE)
        told = [each.fields["value"] for each in school.counts() if each.start_ms == MONDAY_8]
        assert len(told) == (MONDAY_8 in school.core.state.spending.charges)
        told_by_moment.append(told)
        assert school.audit().faults == []
        school.stop()
    assert [] in told_by_moment
    assert {value for told in told_by_moment for value in told} == {1000}


def test_restarts_send_the_same_bytes_and_spend_nothing(tmp_path: Path) -> None:
    """However many: one distinct value, charged once."""
    school = School(tmp_path, make_noise=numbered)
    school.work(68 * MINUTE, step=4 * MINUTE)
    [told] = school.counts()
    batches = dict(school.bodies)
    for _ in range(100):
        school.restart()
        school.pass_time(10 * MINUTE)
        school.settle()
    assert school.counts() == [told]
    assert list(school.core.state.spending.charges) == [MONDAY_8]
    assert batches.items() <= school.bodies.items()
    school.stop()


def test_the_budget_holds_over_any_24_hours(school: School) -> None:
    """Six slots a day for three days: all are told, each at the moment of the day before or later."""
    for _ in range(3):
        school.work(9 * HOUR, step=30 * MINUTE)
        school.rest(15 * HOUR)
    assert len(school.counts()) == 18
    spending, budget = school.core.state.spending, school.core.people.plan.budget  # type: ignore[union-attr]
    moments = [charge.privacy_ms for charge in spending.charges.values()]
    for moment in moments:
        assert sum(moment - DAY < each <= moment for each in moments) * budget.charge_nano <= budget.rho_nano
    school.stop()


READINGS = st.lists(
    st.tuples(
        st.sampled_from(["door", "back", "hall"]),
        st.sampled_from(["", "2"]),
        st.integers(0, SLOT_MS - 1),
        st.integers(0, 60),
        st.booleans(),
    ),
    max_size=60,
)


HALF: list[tuple[str, str, int, int, bool]] = [("door", "", 0, 0, True), ("door", "", 40 * MINUTE, 1, True)]
"""Nobody for four cadence slots, one person for four: rounded to even, 0.5 is 0 and 1.5 is 2."""


@given(READINGS, st.booleans())
@example(readings=HALF, by_room=True)
def test_one_person_more_changes_every_statistic_by_at_most_one(
    readings: list[tuple[str, str, int, int, bool]], by_room: bool
) -> None:
    """Present at any moments, in one room, before one counter: the whole part of a sum of means moves by 0 or 1."""
    bindings = {each.device: each for each in (*DEVICES[:2], counter("back", "a-301"))}
    found = []
    for extra in (0, 1):
        slots, kept = OpenSlots(bindings, by_room=by_room), {}
        for device, channel, offset, value, is_there in sorted(readings, key=lambda each: each[2]):
            seen = value + (extra if is_there and (device, channel) == ("door", "") else 0)
            place = (device, channel, "people_count"), MONDAY_9, offset // (5 * MINUTE)
            kept[place] = Held(MONDAY_9 + offset, seen)
        slots.put(kept)
        found.append(slots.statistics(MONDAY_9))
    without, more = found
    assert without.keys() == more.keys()
    assert all(0 <= more[each] - without[each] <= 1 for each in without)


MOMENTS = st.integers(0, 2 * SLOT_MS - 1)


@given(st.lists(st.tuples(MOMENTS, st.integers(0, 40)), max_size=6), MOMENTS, MOMENTS, st.integers(0, SLOT_MS - 1))
@example(others=[(0, 40), (70 * MINUTE, 0)], come=65 * MINUTE, gone=2 * SLOT_MS - 1, beat=59 * MINUTE)
def test_a_counter_that_speaks_on_change_lets_nobody_count_for_more_than_one(
    others: list[tuple[int, int]], come: int, gone: int, beat: int
) -> None:
    """Besides once an hour: who makes it speak changes which of its cadence slots have a reading, and no more."""
    moments = {0, beat, beat + SLOT_MS} | {moment for moment, _ in others}
    found: list[int] = []
    for is_there in (False, True):
        slots = OpenSlots({"door": DEVICES[0]}, by_room=True)
        for moment in sorted(moments | ({come, gone} if is_there else set())):
            people = next((number for begin, number in sorted(others, reverse=True) if begin <= moment), 0)
            held = Held(MONDAY_8 + moment, people + (is_there and come <= moment < gone))
            hour_ms = MONDAY_8 + moment - moment % SLOT_MS
            slots.put({(("door", "", "people_count"), hour_ms, moment % SLOT_MS // (5 * MINUTE)): held})
        slots.drop(MONDAY_9)
        found += slots.statistics(MONDAY_9).values()
    assert 0 <= found[1] - found[0] <= 1


def test_a_count_stands_from_one_hour_into_the_next(school: School) -> None:
    """A counter that spoke last at 08:58 and next at 09:56: it was not empty for 56 minutes, nor full."""
    school.pass_time(MINUTE)
    for minutes, people in ((58, 40), (58, 0), (9, 0)):
        school.rest(minutes // 10 * 10 * MINUTE)
        school.pass_time(minutes % 10 * MINUTE)
        school.read("door", ["people_count", people, "", school.clock.now()])
    school.rest(10 * MINUTE)
    assert [each.fields["value"] for each in school.counts()] == [40, 40 * 11 // 12]
    school.stop()


def test_what_is_sealed_does_not_depend_on_what_was_counted(tmp_path: Path) -> None:
    """An empty school and a full one: as many batches, as long, at the same times, of the same series."""
    found = []
    for people in (0, 500):
        school = School(tmp_path / f"{people}")
        school.work(5 * HOUR, people, step=15 * MINUTE)
        rows = school.store._connection.execute("SELECT sealed_ms, kind, length(body), summaries FROM batch").fetchall()
        found.append((rows, [(each.series, each.start_ms) for each in school.counts()]))
        school.stop()
    assert found[0] == found[1]
    assert len(found[0][1]) == 3
