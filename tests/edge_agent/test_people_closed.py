"""What closes people counts, and nothing else: the centre's silence, a copy, a mending, a set clock, no noise."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING

import apsw
import pytest

from edge_agent.events import Applied, Delivered, Forked
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian
from edge_agent.transactions import Kind, Span
from tests.edge_agent.counting import MONDAY_8, School
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, delivered

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.privacy.budget import Budget
    from edge_agent.privacy.noise import Noise
    from edge_agent.transactions import Transaction


@pytest.fixture
def school(tmp_path: Path) -> School:
    return School(tmp_path / "state")


def test_after_a_start_nothing_is_told_until_the_centre_says_where_it_stands(school: School) -> None:
    """A head of a batch that this store does not know does not open the counts."""
    school.answers = lambda batch: Delivered(batch, Applied(batch.sequence + 1, b"\1" * 32))
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
    school.answers = delivered
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


def test_what_was_counted_before_a_clock_was_set_counts_for_nothing(school: School) -> None:
    """Neither in the slot in which it had been counted by then, nor as the count that stands when the next begins."""
    school.work(110 * MINUTE)
    school.clock.step(-80 * MINUTE)
    school.rest(HOUR)
    school.read("hall", ["people_count", 4, "", school.clock.now()])
    school.rest(100 * MINUTE)
    assert [(each.start_ms, each.fields["value"]) for each in school.counts()] == [(MONDAY_8, 90), (MONDAY_9, 4)]
    assert school.slots("no_reading") == 1
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


def test_a_head_that_is_not_ours_closes_the_counts_for_a_day(school: School) -> None:
    """Whoever was at the centre before this batch may have spent what this store does not know."""
    school.work(50 * MINUTE)
    epoch = school.core.state.epoch
    school.answers = lambda batch: (
        Delivered(batch, Applied(batch.sequence, b"\1" * 32)) if batch.epoch == epoch else school.confirmed(batch)
    )
    school.work(2 * HOUR)
    assert school.core.people.obstacle == "closed"
    assert school.counts() == []
    school.rest(23 * HOUR)
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
    assert school.core.state.spending.closed_until_ms > DAY, "not only once the centre has closed its epoch"
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
        discrete_gaussian(school.core.people.plan.budget)  # type: ignore[union-attr]
    school.stop()
