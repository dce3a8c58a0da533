"""Delivery: batches in order until the centre has spoken, whatever it says."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent import delivery
from edge_agent.delivery import LONGEST_WAIT_S, MOST_UNACKNOWLEDGED
from edge_agent.events import Applied, Delivered, Forked, Undelivered
from edge_agent.reporting import as_told
from edge_agent.timetable import CompiledTimetable
from edge_agent.timing import Timing
from edge_agent.transactions import Span
from telemetry import vocabulary
from telemetry.uplink_contract import GENESIS, REPORT_PATH, WRITE_PATH, AgentReport, BatchId, unseal
from tests.edge_agent.harness import (
    HOUR,
    MINUTE,
    MONDAY_9,
    SECOND,
    TIMETABLE,
    Bench,
    delivered,
    forked,
    frame,
    lines_of,
    refused,
    undelivered,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CO2: Final = ["carbon_dioxide", 700]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    yield made
    made.stop()


class TestDelivery:
    """Batches: sealed on a cadence, offered in order, one at a time, until the centre has spoken."""

    def fill(self, bench: Bench, minutes: int) -> None:
        for _ in range(minutes):
            bench.read("mast", ["temperature", 1])
            bench.until_closed(MINUTE)

    def test_sealed_on_a_cadence(self, bench: Bench) -> None:
        """A batch a minute, however many windows close in between."""
        sealed = []
        for _ in range(20):
            self.fill(bench, 1)
            if bench.sends:
                sealed.append(bench.clock.now())
                bench.answer(delivered)
        gaps = [after - before for before, after in itertools.pairwise(sealed)]
        assert len(gaps) > 10
        assert all(MINUTE <= gap < MINUTE + SECOND for gap in gaps)

    def test_at_most_four_unacknowledged(self, bench: Bench) -> None:
        """While the centre is silent, four batches are sealed and one of them is under way; the rest waits unsealed."""
        self.fill(bench, 20)
        assert len(bench.core.state.unacknowledged) == MOST_UNACKNOWLEDGED
        assert [send.batch.sequence for send in bench.sends] == [1]
        assert bench.core.state.waiting > 0

    def test_the_newest_first_when_it_heals(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is live is sealed before the backlog; the sealed batches go in order all the same."""
        self.fill(bench, 20)
        monkeypatch.setattr(delivery, "MOST_LINES", 3)
        order, starts = [], []
        while bench.sends:
            send = bench.answer(delivered)
            order.append(send.batch.sequence)
            starts.append([int(line.rpartition(" ")[2]) for line in lines_of(send)])
            bench.pass_time(SECOND)
            bench.settle()
        assert order == list(range(1, len(order) + 1))
        backlog = starts[MOST_UNACKNOWLEDGED:]
        assert len(backlog) > 2
        assert all(min(newer) > max(older) for newer, older in itertools.pairwise(backlog)), "newest first"
        assert all(each == sorted(each) for each in backlog), "the order of the text within a batch"
        bench.until_closed(MINUTE)
        bench.answer(delivered)
        assert bench.core.state.waiting == 0

    def test_nothing_is_offered_between_a_batch_that_is_gone_and_the_new_epoch(self, bench: Bench) -> None:
        """What the centre took in between would wait again under the new epoch, and come twice."""
        self.fill(bench, 20)
        bench.store._connection.execute("DELETE FROM batch WHERE sequence = 1")
        bench.restart()
        bench.until_closed(10 * SECOND)
        send = bench.sends.pop(0)
        assert send.batch.sequence == 2
        bench.play(Delivered(send.batch, Applied(0, b"")))
        bench.settle()
        bench.until_closed(MINUTE)
        assert bench.sends
        assert all(each.batch.epoch != send.batch.epoch for each in bench.sends)

    def test_waits_are_random_and_bounded(self, bench: Bench) -> None:
        """Full jitter below a bound that doubles up to five minutes."""
        self.fill(bench, 4)
        waits = []
        for _ in range(40):
            bench.answer(undelivered)
            before = bench.clock.monotonic()
            while not bench.sends:
                bench.pass_time(SECOND)
                bench.settle()
            waits.append(bench.clock.monotonic() - before)
        for number, wait in enumerate(waits):
            assert wait <= min(LONGEST_WAIT_S, 2 * 2**number) + 2
        assert max(waits) > 60
        assert len({round(wait) for wait in waits[9:]}) > 10, "the waits are not spread"

    def test_the_centre_may_ask_for_a_wait(self, bench: Bench) -> None:
        """Retry-After is kept: nothing is offered before."""
        self.fill(bench, 4)
        bench.answer(lambda batch: Undelivered(batch, "HTTP 503", 90))
        bench.until_closed(80 * SECOND)
        assert not bench.sends
        bench.until_closed(20 * SECOND)
        assert bench.sends

    def test_a_wait_that_the_centre_asks_for_is_never_less_than_ours(self, bench: Bench) -> None:
        """A proxy's `Retry-After: 0` would have the batch offered again at once, for as long as it says so."""
        self.fill(bench, 4)
        for _ in range(8):
            bench.answer(lambda batch: Undelivered(batch, "HTTP 503", 0.0))
            bench.until_closed(5 * MINUTE)
        bench.answer(lambda batch: Undelivered(batch, "HTTP 503", 0.0))
        assert not bench.sends
        assert bench.core.delivery.next_try > bench.clock.monotonic()

    def test_a_poisoned_summary_is_found(self, bench: Bench) -> None:
        """Refused batches are halved until the one at fault is alone: given up and counted; all others arrive."""
        for channel in range(9):
            bench.read("mast", ["temperature", 1, str(channel)])
        bench.until_closed(5 * MINUTE)
        arrived: list[str] = []
        started = bench.clock.now()
        while bench.sends:
            lines = lines_of(bench.sends[0])
            poisoned = any("channel=4," in line for line in lines)
            bench.answer(refused if poisoned else delivered)
            arrived += [] if poisoned else lines
        assert bench.clock.now() - started < MINUTE, "the halves waited for a cadence"
        found = bench.audit()
        assert found.faults == []
        assert (found.balance["refused"], found.balance["acknowledged"], found.balance["waiting"]) == (1, 8, 0)
        assert len(arrived) == 8

    def test_an_alarm_overtakes_the_halves(self, bench: Bench) -> None:
        """Splitting a refused batch holds no safety event up."""
        for channel in range(60):
            bench.read("mast", ["temperature", 1, str(channel)])
        bench.until_closed(5 * MINUTE)
        batches: list[str] = []
        while bench.sends:
            lines = lines_of(bench.sends[0])
            batches.append(lines[0].partition(",")[0])
            if len(batches) == 3:
                bench.arrive("alarm", frame(["smoke", 1]))
                bench.pass_time(150)
            bench.answer(refused if any("channel=44," in line for line in lines) else delivered)
        assert len(batches) > 8
        assert batches.index("smoke") <= 3 + MOST_UNACKNOWLEDGED

    def test_a_fork_begins_a_new_epoch(self, bench: Bench) -> None:
        """409: another copy was here. What is not acknowledged is sealed anew, numbered from 1."""
        self.fill(bench, 10)
        old = bench.core.state.epoch
        bench.answer(forked)
        bench.until_closed(MINUTE)
        assert bench.core.state.epoch != old
        assert bench.sends[-1].batch == BatchId(bench.core.state.epoch, 1)
        while bench.sends:
            bench.answer(delivered)
            bench.until_closed(MINUTE)
        found = bench.audit()
        assert found.faults == []
        assert found.balance["summaries"] == found.balance["acknowledged"]

    def test_answers_about_the_past_are_ignored(self, bench: Bench) -> None:
        """A late answer about a settled batch, an old epoch or one never sent changes nothing."""
        self.fill(bench, 10)
        first = bench.sends[0].batch
        bench.answer(delivered)
        before = bench.audit().balance
        for kind in (delivered, refused, forked, undelivered):
            for batch in (first, BatchId("0" * 16, 2), BatchId(first.epoch, 99), BatchId(first.epoch, 3)):
                bench.play(kind(batch))
                assert not bench.commits
        assert bench.audit().balance == before
        assert bench.core.delivery.failures == 0

    def test_two_answers_are_one(self, bench: Bench) -> None:
        """Whatever comes second about one batch, while the first is on its way to the disk, is too late."""
        self.fill(bench, 4)
        send = bench.sends.pop(0)
        bench.play(delivered(send.batch))
        for kind in (refused, forked, delivered, undelivered):
            bench.play(kind(send.batch))
        bench.settle()
        assert bench.audit().faults == []
        assert bench.core.state.epoch == send.batch.epoch

    def test_a_restart_sends_the_same_bytes(self, bench: Bench) -> None:
        """Nobody knows whether they arrived: the same identity, the same bytes."""
        self.fill(bench, 10)
        before = bench.sends[0]
        bench.restart()
        bench.pass_time(0)
        assert bench.sends[0] == before


class TestRestoredCentre:
    """A centre restored from a copy has lost batches that it acknowledged: they are offered again, in order."""

    def settle_all(self, bench: Bench, kept: list[str]) -> None:
        while bench.sends:
            kept += lines_of(bench.answer(delivered))
            bench.until_closed(MINUTE)

    def live(self, bench: Bench) -> list[str]:
        kept: list[str] = []
        for minute in range(20):
            bench.read("mast", ["temperature", minute])
            bench.until_closed(MINUTE)
            if bench.sends:
                kept += lines_of(bench.answer(delivered))
        assert bench.core.state.next_sequence > 8
        return kept

    def head_at(self, bench: Bench, sequence: int) -> bytes:
        query = "SELECT head FROM batch WHERE sequence = ?"
        [(head,)] = bench.store._connection.execute(query, (sequence,)).fetchall()
        assert isinstance(head, bytes)
        return head

    @pytest.mark.parametrize("is_far", [False, True])
    def test_what_it_lost_is_offered_again(self, bench: Bench, is_far: bool) -> None:
        """Far behind it answers 409 and states its mark; a little behind, 204 with a mark before the batch."""
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        last = bench.sends[0].batch.sequence
        applied = Applied(2, self.head_at(bench, 2)) if is_far else Applied(last - 3, self.head_at(bench, last - 3))
        bench.answer(lambda batch: Forked(batch, applied) if is_far else Delivered(batch, applied))
        again = []
        while bench.sends and bench.sends[0].batch.sequence <= last:
            again.append(bench.sends[0].batch.sequence)
            bench.answer(delivered)
        assert again == list(range(applied.sequence + 1, last + is_far)), "the last itself is there after a 204"
        self.settle_all(bench, [])
        found = bench.audit()
        assert found.faults == []
        assert found.balance["acknowledged"] == found.balance["summaries"] > 10

    def test_a_refused_batch_that_it_lost_counts_no_second_time(self, bench: Bench) -> None:
        """Its summaries went on in other batches; offered again for its number, it holds none that are waited for."""
        bench.read("mast", ["temperature", 20], ["wind_speed", 3])
        bench.until_closed(4 * MINUTE)
        assert len(lines_of(bench.sends[0])) == 2
        first = bench.answer(refused).batch.sequence
        head = self.head_at(bench, first - 1) if first > 1 else GENESIS
        self.settle_all(bench, [])
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        bench.answer(lambda batch: Forked(batch, Applied(first - 1, head)))
        assert bench.answer(delivered).batch.sequence == first
        self.settle_all(bench, [])
        found = bench.audit()
        assert found.faults == []
        assert found.balance["acknowledged"] == found.balance["summaries"]

    def test_a_restart_in_the_middle_goes_on(self, bench: Bench) -> None:
        """What is recalled is durable; the centre's next word brings the rest."""
        self.live(bench)
        bench.until_closed(5 * MINUTE)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        head = self.head_at(bench, 2)
        bench.answer(lambda batch: Forked(batch, Applied(2, head)))
        assert bench.answer(delivered).batch.sequence == 3
        bench.restart()
        bench.until_closed(MINUTE)
        mark = bench.sends[0].batch.sequence - 1
        head = self.head_at(bench, mark)
        bench.answer(delivered)
        self.settle_all(bench, [])
        found = bench.audit()
        assert found.faults == []
        assert found.balance["acknowledged"] == found.balance["summaries"]

    def test_a_past_that_is_not_ours_begins_a_new_epoch(self, bench: Bench) -> None:
        """The head it states is on no chain of ours: nothing is offered again under the old name."""
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        old = bench.core.state.epoch
        bench.answer(lambda batch: Forked(batch, Applied(2, bytes(32))))
        bench.until_closed(MINUTE)
        assert bench.core.state.epoch != old
        self.settle_all(bench, [])
        assert bench.audit().faults == []

    def test_a_batch_behind_a_past_that_is_not_ours_is_the_last_of_its_epoch(self, bench: Bench) -> None:
        """The centre has it, and is not told of it again; what follows goes under a new name, with counts closed."""
        self.live(bench)
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        old = bench.core.state.epoch
        sent = lines_of(bench.answer(lambda batch: Delivered(batch, Applied(batch.sequence, bytes(32)))))
        assert bench.core.state.epoch != old
        assert bench.core.people.closed_ms == bench.core.state.spending.closed_until_ms
        bench.read("mast", ["temperature", 51])
        bench.until_closed(4 * MINUTE)
        kept: list[str] = []
        self.settle_all(bench, kept)
        assert kept
        assert not set(kept) & set(sent)
        assert bench.audit().faults == []

    def test_bytes_that_are_gone_begin_a_new_epoch(self, bench: Bench) -> None:
        """After the ledger's days there are hashes alone, and nothing to offer again."""
        self.live(bench)
        bench.store._connection.execute("UPDATE batch SET body = NULL WHERE sequence = 4")
        bench.read("mast", ["temperature", 50])
        bench.until_closed(4 * MINUTE)
        old, head = bench.core.state.epoch, self.head_at(bench, 2)
        bench.answer(lambda batch: Forked(batch, Applied(2, head)))
        assert bench.answer(delivered).batch.sequence == 3
        bench.until_closed(MINUTE)
        assert bench.core.state.epoch != old
        self.settle_all(bench, [])
        assert bench.audit().faults == []


class TestForkedAgent:
    """Another copy of the store has been at the centre."""

    def test_what_it_told_is_not_told_again(self, bench: Bench) -> None:
        """Windows within what the other copy told are dropped and counted; the others are sealed anew."""
        for minute in range(12):
            bench.read("mast", ["temperature", minute])
            bench.until_closed(MINUTE)
        waiting = bench.told()
        span = Span(MONDAY_9 + 3 * MINUTE, MONDAY_9 + 6 * MINUTE)
        bench.answer(lambda batch: Forked(batch, Applied(0, bytes(32)), span))
        assert bench.audit().balance["fork"] == 3
        arrived: list[str] = []
        while bench.sends:
            arrived += lines_of(bench.answer(delivered))
            bench.until_closed(MINUTE)
        starts = {int(line.rpartition(" ")[2]) for line in arrived}
        assert not starts & {MONDAY_9 + minute * MINUTE for minute in (3, 4, 5)}
        assert set(waiting) - set(arrived) == {line for line in waiting if int(line.rpartition(" ")[2]) not in starts}
        found = bench.audit()
        assert found.faults == []
        assert found.balance["summaries"] == found.balance["acknowledged"] + 3


class TestShrunkVocabulary:
    """An upgrade has taken a quantity out of the contract, and summaries of it are there."""

    @pytest.mark.parametrize("kind", ["refused", "forked"])
    def test_nothing_stops(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """Sealed or waiting, when the centre refuses or knows another copy: the rest goes, they are counted."""
        for minute in range(12):
            bench.read("mast", ["temperature", minute], ["wind_speed", 1])
            bench.until_closed(MINUTE)
        bench.until_closed(10 * MINUTE)
        monkeypatch.delitem(vocabulary._TABLE, "wind_speed")
        span = Span(MONDAY_9 + 3 * MINUTE, MONDAY_9 + 6 * MINUTE)
        bench.answer(refused if kind == "refused" else lambda batch: Forked(batch, Applied(0, bytes(32)), span))
        arrived: list[str] = []
        for _ in range(10):
            while bench.sends:
                arrived += lines_of(bench.answer(delivered))
            bench.until_closed(MINUTE)
        found = bench.audit()
        assert found.faults == []
        assert found.balance["waiting"] == 0
        assert found.balance["refused"] > 0
        temperatures = len([line for line in arrived if line.startswith("temperature")])
        assert temperatures == 12 - found.balance["fork"]
        assert found.balance["fork"] == (3 if kind == "forked" else 0)


def test_how_much_there_is_to_tell_hurries_nothing(tmp_path: Path) -> None:
    """One series or a hundred: batches are sealed at the same moments, and are as long."""
    found = []
    for channels in (1, 100):
        bench = Bench(tmp_path / f"{channels}", timing=Timing(lateness_ms=2 * MINUTE, batch_every_s=150))
        for minute in range(20):
            bench.read("mast", *[["temperature", minute, str(channel)] for channel in range(channels)])
            bench.until_closed(MINUTE)
            while bench.sends:
                bench.answer(delivered)
        found.append(bench.store._connection.execute("SELECT sealed_ms, kind, length(body) FROM batch").fetchall())
        bench.stop()
    assert found[0] == found[1]
    assert len(found[0]) > 5


class TestReports:
    """The agent's own report goes the same way as all else."""

    def test_a_report_is_a_batch(self, tmp_path: Path) -> None:
        """Sealed, numbered and chained with the rest; delivered, it leaves the balance as it is.

        It counts summaries, and no readings: those show when something moves.
        """
        bench = Bench(tmp_path)
        bench.read("air", CO2)
        bench.read("mast", ["temperature", 10])
        bench.read("door", ["people_count", 3], ["people_in", 40])
        bench.read("board", ["lamp_hours", -1])
        bench.until_closed(5 * MINUTE)
        send = bench.sends[0]
        while send.path == WRITE_PATH:
            bench.answer(delivered)
            send = bench.sends[0]
        assert send.path == REPORT_PATH
        report = AgentReport.from_dict(json.loads(unseal(send.body)))
        assert report.summaries == 1
        assert (report.received, report.admitted, report.rejected) == (0, 0, 0)
        assert (report.summarised, report.open, report.withheld) == (0, 0, 0)
        hours = CompiledTimetable(TIMETABLE).hours(report.time_ms)
        assert (report.hours_day, report.hours, report.hours_next_ms) == (hours.day, hours.hours, hours.next_ms)
        own = bench.core.report()
        assert (own.received, own.rejected, own.summarised, own.open, own.withheld) == (5, 1, 1, 1, 2)
        bench.answer(delivered)
        found = bench.audit()
        assert found.faults == []
        assert not bench.core.state.unacknowledged
        bench.stop()

    @pytest.mark.parametrize(
        ("hours", "told"), [(0.9, 0), (1, 1), (7.5, 4), (23, 16), (24, 24), (71 * 24, 64 * 24), (87_840, 2048 * 24)]
    )
    def test_the_buffers_room_leaves_to_a_power_of_two(self, bench: Bench, hours: float, told: int) -> None:
        """How many pages of the store are in use follows what devices send, and an hour of room can be one of them."""
        own = replace(bench.core.report(), room_minutes=int(hours * 60))
        assert as_told(own).room_minutes == told * 60

    def test_a_report_that_is_refused_is_gone(self, tmp_path: Path) -> None:
        """Nothing of it waits again, and nothing is hurried by it."""
        bench = Bench(tmp_path)
        bench.until_closed(5 * MINUTE)
        assert bench.sends[0].path == REPORT_PATH
        bench.answer(refused)
        assert bench.audit().faults == []
        assert not bench.core.state.unacknowledged
        assert not bench.core.state.splitting
        bench.stop()

    def test_the_buffer_is_shown_in_minutes(self, bench: Bench) -> None:
        """How long the oldest summary waits, and how long the disk will do at this rate."""
        bench.read("mast", *[["temperature", 1, str(channel)] for channel in range(120)])
        bench.until_closed(HOUR)
        report = bench.core.report()
        assert report.stored_minutes == 60
        assert report.waiting == 120
        assert report.room_minutes == pytest.approx((1 << 30) * 0.95 / 200 / 2, rel=0.01)
