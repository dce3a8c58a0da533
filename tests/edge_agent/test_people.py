"""People counts, from readings to what is told: once, with noise, under the budget, by one copy of a store alone."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.counts import CountKey
from edge_agent.events import Applied, Delivered, Forked, Uncommitted
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian
from edge_agent.privacy.people import SLOT_MS, OpenSlots
from edge_agent.timing import Timing
from edge_agent.transactions import Kind, Span
from edge_agent.windows import Cadence, Held
from telemetry import Placement, decode_all
from telemetry.policy import Policy
from telemetry.uplink_contract import unseal
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SECOND, STANDARD, Bench, bind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.admission import Binding
    from edge_agent.events import Event
    from edge_agent.privacy.budget import Budget
    from edge_agent.privacy.noise import Noise
    from edge_agent.transactions import Transaction
    from telemetry import Summary
    from telemetry.uplink_contract import BatchId

MONDAY_8 = MONDAY_9 - HOUR
TIMING = Timing(lateness_ms=2 * MINUTE, batch_every_s=60, report_every_s=3600)
ROOM_POLICY = Policy(
    replace(STANDARD).tables.model_copy(update={"P2": STANDARD.tables.P2.model_copy(update={"export": "room"})}),
    b"",
)


def counter(device: str, room: str = "a-301", policy: Policy = STANDARD) -> Binding:
    return bind(device, ("people_count",), room=room, policy=policy, cadence=Cadence(5 * MINUTE, 15 * MINUTE))


DEVICES = (
    counter("door"),
    counter("hall", "a-302"),
    bind("mast", ("temperature",), policy=STANDARD, placement=Placement.OUTDOOR),
)


def none(budget: Budget) -> Noise:
    """No noise at all: what is told is what was counted."""
    return lambda exact: exact


def numbered(budget: Budget) -> Noise:
    """Another number at every draw."""
    drawn = iter(range(1000, 9999))
    return lambda exact: next(drawn)


class School(Bench):
    """An agent with people counters, and a centre that says where it stands."""

    def __init__(self, folder: Path, make_noise: Callable[[Budget], Noise] = none, **settings: Any) -> None:
        self.answers: Callable[[BatchId], Event] = self.confirmed
        usual: dict[str, Any] = {"devices": DEVICES, "timing": TIMING, "policy": STANDARD, "at_ms": MONDAY_8 - MINUTE}
        super().__init__(folder, make_noise=make_noise, **(usual | settings))

    def confirmed(self, batch: BatchId) -> Delivered:
        """The centre's 204: it has everything up to this batch, as this store does."""
        return Delivered(batch, Applied(batch.sequence, self.core.state.unacknowledged[batch].head))

    def work(self, milliseconds: int, people: int = 30, step: int = 5 * MINUTE) -> None:
        """Time passes; the counters and the mast report, the centre answers."""
        for _ in range(0, milliseconds, step):
            now = self.clock.now()
            self.read("door", ["people_count", people, "", now])
            self.read("hall", ["people_count", 2 * people, "", now])
            self.read("mast", ["temperature", 20])
            for _ in range(step // MINUTE):
                self.pass_time(MINUTE)
                self.settle()
                while self.sends:
                    self.answer(self.answers)

    def watch(self, milliseconds: int, look: Callable[[Transaction], object]) -> None:
        """Time passes, and each transaction is looked at before it is written; not, where `look` took it away."""
        for _ in range(0, milliseconds, SECOND):
            self.pass_time(SECOND)
            while self.commits:
                if not look(self.commits[0]):
                    self.commit()

    def rest(self, milliseconds: int) -> None:
        """Time passes with nothing measured, and the centre answers."""
        for _ in range(0, milliseconds, 10 * MINUTE):
            self.pass_time(10 * MINUTE)
            self.settle()
            while self.sends:
                self.answer(self.answers)

    def counts(self) -> list[Summary]:
        """What was told of people, sealed or not, acknowledged or not, oldest first."""
        bodies = [
            body
            for (body,) in self.store._connection.execute(
                "SELECT body FROM batch WHERE kind = 'summaries' AND body NOT NULL"
            )
        ]
        lines = [line for body in bodies for line in unseal(body).decode().splitlines()] + self.told()
        found = decode_all("".join(f"{line}\n" for line in dict.fromkeys(lines)).encode())
        return sorted(
            (each for each in found if each.series.quantity == "people_count"), key=lambda each: each.start_ms
        )

    def slots(self, reason: str) -> int:
        """How many slots came to this."""
        return self.core.state.counts.get(CountKey("slots", reason=reason), 0)


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


def test_nothing_of_people_is_told_outside_the_timetable_nor_by_the_default_policy(tmp_path: Path) -> None:
    """After school nothing is kept, whatever is counted; under `strict` never."""
    evening = School(tmp_path / "evening", at_ms=MONDAY_8 + 9 * HOUR)
    evening.work(5 * HOUR, 17)
    assert evening.counts() == []
    assert evening.core.people._slots._open == {}
    evening.stop()
    strict = Bench(tmp_path / "strict", at_ms=MONDAY_8)
    for _ in range(30):
        strict.read("door", ["people_count", 20])
        strict.until_closed(5 * MINUTE)
    assert not [line for line in strict.told() if "people" in line]
    assert strict.core.people.obstacle == "policy"
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


def test_after_a_start_nothing_is_told_until_the_centre_says_where_it_stands(school: School) -> None:
    """A head that is not ours, or of a batch this store does not know, does not open the counts."""
    school.answers = lambda batch: Delivered(batch, Applied(batch.sequence, b"\1" * 32))
    school.work(62 * MINUTE, step=MINUTE)
    assert school.core.people.obstacle == "unconfirmed"
    assert school.counts() == []
    school.answers = lambda batch: Delivered(
        batch, replace(school.confirmed(batch).applied, sequence=batch.sequence + 1)
    )
    school.work(5 * MINUTE)
    assert school.counts() == []
    school.answers = school.confirmed
    school.work(5 * MINUTE)
    assert [each.start_ms for each in school.counts()] == [MONDAY_8]
    school.restart()
    assert school.core.people.obstacle == "unconfirmed"
    school.stop()


def test_a_slot_that_nobody_confirms_is_given_up_after_an_hour(school: School) -> None:
    """Its readings do not wait in memory for ever."""
    school.answers = lambda batch: Delivered(batch, Applied(batch.sequence, b""))
    school.work(2 * HOUR + 5 * MINUTE)
    assert school.slots("unconfirmed") == 1
    assert list(school.core.people._slots._open) == [MONDAY_9]
    school.stop()


def test_a_slot_in_which_the_agent_began_is_a_gap(tmp_path: Path) -> None:
    """Part of its readings were in memory alone, and nobody says that the rest is all."""
    school = School(tmp_path, at_ms=MONDAY_9 + 20 * MINUTE)
    school.work(3 * HOUR)
    assert [each.start_ms for each in school.counts()] == [MONDAY_9 + HOUR]
    assert school.slots("gap") == 1
    school.stop()


def test_the_budget_holds_over_any_24_hours(school: School) -> None:
    """Six slots a day for three days: all are told, each at the moment of the day before or later."""
    for _ in range(3):
        school.work(9 * HOUR, step=30 * MINUTE)
        school.rest(15 * HOUR)
    assert len(school.counts()) == 18
    spending, budget = school.core.state.spending, school.core.people._plan.budget  # type: ignore[union-attr]
    moments = [charge.privacy_ms for charge in spending.charges.values()]
    for moment in moments:
        assert sum(moment - DAY < each <= moment for each in moments) * budget.charge_nano <= budget.rho_nano
    school.stop()


def test_a_clock_that_is_set_grants_nothing(school: School) -> None:
    """Set on by a day, and by another, and back: one day's slots in one day, and no slot twice."""
    school.work(3 * HOUR + 10 * MINUTE)
    for jump in (DAY, DAY, -2 * DAY, 3 * DAY):
        school.clock.step(jump - 2 * HOUR)
        school.work(3 * HOUR + 10 * MINUTE, step=10 * MINUTE)
    told = school.counts()
    starts = [each.start_ms for each in told]
    assert len(starts) == len(set(starts)) == len(school.core.state.spending.charges)
    assert 3 < len(starts) <= 6, "a budget of six slots, and 16 hours"
    assert all(each.series.revision == 0 for each in told)
    assert school.slots("budget") or school.slots("gap")
    school.stop()


def test_a_clock_that_goes_back_does_not_tell_a_slot_again(school: School) -> None:
    """The same hour comes twice: it was told."""
    school.work(HOUR + 10 * MINUTE)
    assert len(school.counts()) == 1
    school.clock.step(-80 * MINUTE)
    school.work(3 * HOUR)
    starts = [each.start_ms for each in school.counts()]
    assert starts == [MONDAY_8, MONDAY_9]
    assert school.slots("told") == 1
    school.stop()


def test_a_fork_closes_the_counts_for_a_day_and_nothing_else(school: School) -> None:
    """What the other copy has spent is unknown; after 24 hours none of it counts any more."""
    school.work(50 * MINUTE)
    epoch = school.core.state.epoch
    school.answers = lambda batch: (
        Forked(batch, Applied(batch.sequence, b"\2" * 32), Span(0, 0))
        if batch.epoch == epoch
        else school.confirmed(batch)
    )
    school.work(6 * MINUTE, step=MINUTE)
    school.answers = school.confirmed
    assert school.core.people.obstacle == "closed"
    school.work(2 * HOUR)
    assert school.counts() == []
    assert school.audit().balance["acknowledged"] > 30, "what is not of people goes on"
    school.restart()
    school.work(10 * MINUTE)
    assert school.core.people.obstacle == "closed"
    school.rest(22 * HOUR)
    school.work(4 * HOUR)
    assert school.core.people.obstacle is None
    assert school.counts()
    school.stop()


def test_a_copy_that_was_put_back_tells_nothing(tmp_path: Path) -> None:
    """An old database: the centre's head is not on its chain, so its slots stay closed until the centre disputes it."""
    school = School(tmp_path / "now")
    school.work(40 * MINUTE)
    school.checkpoint()
    school.store._connection.wal_checkpoint()
    shutil.copytree(tmp_path / "now", tmp_path / "copy")
    school.work(4 * HOUR)
    assert len(school.counts()) == 3
    school.store.close()
    last = school.core.state.next_sequence - 1
    old = School(tmp_path / "copy", at_ms=MONDAY_8 + 41 * MINUTE)
    old.answers = lambda batch: (
        Forked(batch, Applied(last, b"\3" * 32), Span(MONDAY_8, MONDAY_8 + 4 * HOUR))
        if batch.epoch == school.core.state.epoch
        else old.confirmed(batch)
    )
    old.work(5 * HOUR)
    assert old.counts() == []
    assert old.core.people.obstacle == "closed"
    old.stop()


def test_a_new_store_waits_a_day_where_the_people_are_real(tmp_path: Path) -> None:
    """Whoever deletes the store gains nothing; and a restart does not end the wait."""
    school = School(tmp_path, waits_at_first=True)
    school.work(2 * HOUR)
    assert school.core.people.obstacle == "closed"
    school.restart()
    school.work(10 * MINUTE)
    assert school.core.people.obstacle == "closed"
    school.rest(DAY)
    school.work(10 * MINUTE)
    assert school.core.people.obstacle is None
    school.stop()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE spend SET rho_nano = 1 WHERE id = 1",
        "UPDATE spend SET privacy_ms = privacy_ms - 86400000",
        "UPDATE spend SET head = zeroblob(32) WHERE id = 2",
        "DELETE FROM spend WHERE id = (SELECT max(id) FROM spend)",
        "DELETE FROM spend",
        "UPDATE privacy_clock SET privacy_ms = privacy_ms + 90000000",
        "UPDATE spend SET privacy_ms = 9223372036854775807",
        "DELETE FROM privacy_clock",
    ],
)
def test_a_ledger_that_is_not_whole_closes_the_counts_alone(school: School, change: str) -> None:
    """Rows changed or lost: nothing of people for a day, everything else as before, and no second mending."""
    school.work(3 * HOUR + 10 * MINUTE)
    before = school.audit().balance
    school.store._connection.execute(change)
    assert school.store._connection.changes()
    school.restart()
    assert school.audit().balance == before
    assert not list(school.folder.glob("*.corrupt-*"))
    school.work(3 * HOUR)
    assert school.core.people.obstacle == "closed"
    assert len({each.start_ms for each in school.counts()}) == 3
    closed_until_ms = school.core.state.spending.closed_until_ms
    school.restart()
    assert school.core.state.spending.closed_until_ms == closed_until_ms
    assert school.core.state.spending.is_whole
    school.stop()


def test_a_mended_store_keeps_what_was_told_and_stays_closed_for_a_day(school: School) -> None:
    """The slots that can be read stay told; what cannot be read may have been spent."""
    school.work(2 * HOUR + 10 * MINUTE)
    told = set(school.core.state.spending.charges)
    assert len(told) == 2
    school.store._connection.execute("UPDATE counter SET value = value + 64 WHERE stage = 'admitted'")
    school.restart()
    assert list(school.folder.glob("*.corrupt-*"))
    assert set(school.core.state.spending.charges) == told
    school.work(2 * HOUR)
    assert school.core.people.obstacle == "closed"
    assert len(school.counts()) == 2
    school.stop()


def test_the_store_itself_refuses_what_the_budget_has_no_room_for(school: School) -> None:
    """Whoever asks: a slot twice, or one slot too many, is written by nobody."""
    school.work(HOUR)
    kept: list[Transaction] = []
    school.watch(10 * MINUTE, lambda each: kept.append(each) if each.kind is Kind.RELEASE else None)
    [release] = kept
    assert release.spend is not None
    with pytest.raises(apsw.ConstraintError):
        school.store.commit(release)
    too_many = replace(
        release.spend, start_ms=release.spend.start_ms + 1, charge=release.spend.charge._replace(rho_nano=90_000_000)
    )
    with pytest.raises(ValueError, match="no room"):
        school.store.commit(replace(release, spend=too_many))
    assert school.audit().faults == []
    school.store.close()


def test_without_noise_nothing_is_told_and_all_else_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """OpenDP is missing: it is said once, and the balance closes."""

    def missing(budget: Budget) -> Noise:
        raise NoiseMissing("OpenDP is not there", fix="install it")

    school = School(tmp_path, make_noise=missing)
    school.work(2 * HOUR)
    assert school.core.people.obstacle == "noise"
    assert school.counts() == []
    assert caplog.text.count("people counts are not told: OpenDP is not there; install it") == 1
    assert school.audit().faults == []
    school.stop()


@pytest.mark.parametrize("installed", ["0.15.1", None])
def test_an_old_or_missing_opendp_is_refused(
    monkeypatch: pytest.MonkeyPatch, installed: str | None, school: School
) -> None:
    """Before 0.16 its samplers were biased; pure Python ones install silently where there is no wheel."""

    def version(name: str) -> str:
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("edge_agent.privacy.noise.version", version)
    with pytest.raises(NoiseMissing):
        discrete_gaussian(school.core.people._plan.budget)  # type: ignore[union-attr]
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


@given(READINGS, st.booleans())
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
