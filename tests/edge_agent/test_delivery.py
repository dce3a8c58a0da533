"""Delivery: batches in order until the centre has spoken, whatever it says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent import delivery
from edge_agent.delivery import LONGEST_WAIT_S, MOST_UNACKNOWLEDGED
from edge_agent.events import Applied, Delivered, Forked, Undelivered
from edge_agent.timing import Timing
from edge_agent.transactions import Span
from telemetry import vocabulary
from telemetry.uplink_contract import BatchId
from tests.edge_agent.harness import (
    MINUTE,
    MONDAY_9,
    SECOND,
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
