"""The core: what it does with each event, and when."""

from __future__ import annotations

import itertools
import json
import logging
import math
from typing import TYPE_CHECKING, Final

import pytest

from device_drivers.contract import Decoded, Frame, FrameRefused
from edge_agent.core import MOST_FRAMES
from edge_agent.delivery import LONGEST_WAIT_S, MOST_UNACKNOWLEDGED
from edge_agent.events import Arrival, Arrived, Committed, Delivered, Delivery, Tick, Undelivered
from edge_agent.timing import Timing
from edge_agent.transactions import Kind
from telemetry.uplink_contract import REPORT_PATH, WRITE_PATH, AgentReport, BatchId, unseal
from tests.edge_agent.harness import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY_9,
    SECOND,
    Bench,
    bind,
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


def rejected(bench: Bench) -> dict[str, int]:
    return dict(bench.audit().rejected)


class TestGroupCommit:
    """Frames wait a tenth of a second for company, then go to the disk together."""

    def test_a_frame_waits_for_its_group(self, bench: Bench) -> None:
        """Nothing is written before 100 ms, and everything at 100 ms."""
        bench.arrive("air", frame(CO2))
        bench.pass_time(60)
        bench.arrive("air", frame(CO2))
        bench.pass_time(38)
        assert not bench.commits
        bench.pass_time(3)
        assert bench.commits[0].kind is Kind.JOURNAL
        assert len(bench.commits[0].tokens) == 2

    def test_a_full_group_does_not_wait(self, bench: Bench) -> None:
        """Two thousand frames are a transaction at once; the rest is the next."""
        bench.arrive("air", *[frame(CO2)] * (MOST_FRAMES + 1))
        assert len(bench.commits[0].tokens) == MOST_FRAMES
        bench.settle()
        assert len(bench.acknowledged) == MOST_FRAMES + 1

    def test_acknowledged_only_when_on_disk(self, bench: Bench) -> None:
        """No token comes back before the commit's own word, whatever happens meanwhile."""
        bench.arrive("air", frame(CO2), token="a")
        bench.pass_time(100)
        transaction = bench.commits.pop()
        bench.pass_time(10 * SECOND)
        bench.arrive("air", frame(CO2), token="b")
        bench.store.commit(transaction)
        assert bench.acknowledged == []
        assert bench.core.state.open_readings() == 0, "memory follows the disk, never leads"
        bench.play(Committed(transaction))
        assert bench.acknowledged == ["a"]
        assert bench.core.state.open_readings() == 1

    def test_one_transaction_at_a_time(self, bench: Bench) -> None:
        """What becomes due during a commit waits for it; what the clock makes due goes first."""
        bench.read("mast", ["temperature", 5])
        bench.arrive("air", frame(CO2))
        bench.pass_time(100)
        bench.pass_time(10 * MINUTE)
        assert [transaction.kind for transaction in bench.commits] == [Kind.JOURNAL]
        bench.commit()
        assert [transaction.kind for transaction in bench.commits] == [Kind.CLOSE]

    def test_a_planned_stop_waits_for_nothing(self, bench: Bench) -> None:
        """After `flush` what is pending is committed and the windows are checkpointed, without waiting."""
        bench.arrive("air", frame(CO2))
        assert bench.core.pending == 1
        assert not bench.core.is_idle
        bench.core.flush()
        kinds = []
        bench.play(Tick())
        while bench.commits:
            kinds.append(bench.commits[0].kind)
            bench.commit()
        assert sorted(kinds) == [Kind.CHECKPOINT, Kind.JOURNAL]
        assert bench.core.is_idle


class TestAdmission:
    """Default deny: what comes in is known, plausible, fresh and once."""

    def test_a_second_copy_is_not_counted_twice(self, bench: Bench) -> None:
        """Same session, packet id and content with DUP: acknowledged, counted as duplicate, not admitted."""
        for duplicate in (False, True, True):
            bench.arrive("air", frame(CO2), delivery=Delivery("s", 7, duplicate), token=duplicate)
            bench.settle()
        found = bench.audit()
        assert (found.balance["received"], found.balance["admitted"], found.balance["duplicate"]) == (3, 1, 2)
        assert bench.acknowledged == [False, True, True]

    def test_a_copy_is_known_within_one_group_and_after_a_restart(self, bench: Bench) -> None:
        """Both copies in one transaction; and a copy that comes after a crash between commit and PUBACK."""
        bench.arrive("air", frame(CO2), delivery=Delivery("s", 7, duplicate=False))
        bench.arrive("air", frame(CO2), delivery=Delivery("s", 7, duplicate=True))
        bench.settle()
        bench.restart()
        bench.arrive("air", frame(CO2), delivery=Delivery("s", 7, duplicate=True))
        bench.settle()
        assert bench.audit().balance["admitted"] == 1

    @pytest.mark.parametrize(
        ("content", "delivery"),
        [
            (["carbon_dioxide", 701], Delivery("s", 7, duplicate=True)),
            (["carbon_dioxide", 700, "2"], Delivery("s", 7, duplicate=True)),
            (["carbon_dioxide", 700, "", MONDAY_9], Delivery("s", 7, duplicate=True)),
            (CO2, Delivery("s", 7, duplicate=False)),
            (CO2, Delivery("s", 8, duplicate=True)),
            (CO2, Delivery("t", 7, duplicate=True)),
            (CO2, None),
        ],
    )
    def test_what_is_no_copy_is_admitted(self, bench: Bench, content: list[object], delivery: Delivery | None) -> None:
        """Other content, another id, another session, no DUP flag, QoS 0: a message of its own."""
        bench.arrive("air", frame(CO2), delivery=Delivery("s", 7, duplicate=False))
        bench.arrive("air", frame(content), delivery=delivery)
        bench.settle()
        assert bench.audit().balance["admitted"] == 2

    def test_a_copy_is_known_when_the_clock_was_set_meanwhile(self, bench: Bench) -> None:
        """The device's time is believed at first and no more at the second copy: still one message."""
        content = frame(["carbon_dioxide", 700, "", MONDAY_9])
        bench.arrive("air", content, delivery=Delivery("s", 7, duplicate=False))
        bench.settle()
        bench.clock.step(3 * DAY)
        bench.arrive("air", content, delivery=Delivery("s", 7, duplicate=True))
        bench.settle()
        assert bench.audit().balance["duplicate"] == 1

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 10**400, 299.4, 10_001])
    def test_what_no_sensor_measures_is_out_of_range(self, bench: Bench, value: float) -> None:
        """NaN, infinities, giants and values outside the quantity's range are counted and go no further."""
        bench.read("air", ["carbon_dioxide", value], ["temperature", 20])
        assert rejected(bench) == {"out_of_range": 1}
        assert bench.audit().balance["admitted"] == 1

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (["ozone", 1], "undeclared"),
            (["name", 1], "undeclared"),
            (["carbon_dioxide", 700, "Li Hua"], "undeclared"),
            (["carbon_dioxide", 700, "x,y=z"], "undeclared"),
            (["carbon_dioxide", "700"], "driver_fault"),
            (["carbon_dioxide", None], "driver_fault"),
            (["carbon_dioxide", 700, "", 1.5], "driver_fault"),
            (["carbon_dioxide", 700, "", "now"], "driver_fault"),
            ([["carbon_dioxide"], 700], "driver_fault"),
            (["carbon_dioxide", 700, "", MONDAY_9, "more"], "driver_fault"),
        ],
    )
    def test_what_breaks_the_contract_stays_here(self, bench: Bench, row: list[object], reason: str) -> None:
        """An unknown quantity, a channel that is no code, values of other types: counted, and the rest comes in."""
        bench.read("air", row)
        bench.read("air", CO2)
        assert rejected(bench) == {reason: 1}
        assert bench.audit().balance["admitted"] == 1

    def test_a_topic_without_a_device(self, bench: Bench) -> None:
        """Counted without the topic."""
        bench.play(Arrived([Arrival(frame(CO2), MONDAY_9)]))
        bench.arrive("nobody", frame(CO2))
        bench.settle()
        assert rejected(bench) == {"unknown_device": 2}

    def test_a_frame_without_a_reading(self, bench: Bench) -> None:
        """It counts as one received, so that the balance shows it."""
        bench.read("air")
        assert rejected(bench) == {"no_reading": 1}

    def test_what_a_broker_kept_is_not_fresh(self, bench: Bench) -> None:
        """Retained without a time of its own: nobody knows when it was measured. With one: it is what it is."""
        rows = ["carbon_dioxide", 700], ["temperature", 20, "", MONDAY_9]
        bench.play(Arrived([Arrival(frame(*rows), MONDAY_9, device="air", retained=True)]))
        bench.settle()
        assert rejected(bench) == {"retained": 1}
        assert bench.audit().balance["admitted"] == 1

    def test_a_driver_that_raises_is_said_once(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Once when it begins, once when it ends, with the kind of mistake and nothing of the frame."""
        caplog.set_level(logging.INFO)
        for _ in range(3):
            bench.arrive("air", frame("raise"))
        bench.arrive("mast", frame(["temperature", 5]))
        bench.settle()
        assert [record.getMessage() for record in caplog.records] == ["driver list fails on device air: RuntimeError"]
        bench.read("air", CO2)
        assert caplog.records[-1].getMessage() == "driver list understands device air again"
        assert len(caplog.records) == 2
        assert rejected(bench) == {"driver_fault": 3}
        assert bench.audit().devices["mast"]["received"] == 1

    def test_a_reason_is_a_word(self, tmp_path: Path) -> None:
        """What a driver gives as its reason goes into a label: anything but a short word is not passed on."""

        class Chatty:
            def decode(self, frame: Frame) -> Decoded:
                raise FrameRefused("bad card 4711!", "x")

        bench = Bench(tmp_path, devices=[bind("air", ("temperature",), driver=Chatty())])
        bench.read("air", CO2)
        assert rejected(bench) == {"driver_fault": 1}
        bench.stop()

    def test_the_devices_clock_within_tolerance(self, bench: Bench) -> None:
        """Believed up to two minutes ahead and a day behind; else the time of arrival counts."""
        stamps = [MONDAY_9 + 2 * MINUTE, MONDAY_9 + 2 * MINUTE + 1, MONDAY_9 - DAY, MONDAY_9 - DAY - 1]
        for index, stamp in enumerate(stamps):
            bench.arrive("mast", frame(["temperature", 20, str(index), stamp]))
        bench.settle()
        events = [reading.carried or next(iter(reading.open.values())) for reading in bench.core.state.series.values()]
        starts = [getattr(window, "start_ms", 0) for window in events]
        assert starts == [MONDAY_9 + 2 * MINUTE, MONDAY_9, MONDAY_9 - DAY, MONDAY_9]


class TestWindows:
    """Windows close when their lateness is over, once."""

    def test_late_readings_count_until_the_window_is_closed(self, bench: Bench) -> None:
        """Within the lateness they are in the summary; after it they are counted as late."""
        bench.read("mast", ["temperature", 10, "", MONDAY_9 + SECOND])
        bench.until_closed(2 * MINUTE)
        bench.read("mast", ["temperature", 20, "", MONDAY_9 + 30 * SECOND])
        bench.until_closed(2 * MINUTE)
        bench.read("mast", ["temperature", 30, "", MONDAY_9 + 40 * SECOND])
        [line] = bench.told()
        assert "mean=20.00,min=20.00,max=20.00,n=1i" in line
        assert line.endswith(f" {MONDAY_9}")
        found = bench.audit()
        assert (found.balance["summarised"], found.balance["late"]) == (2, 1)

    def test_windows_that_close_together_carry_into_each_other(self, bench: Bench) -> None:
        """After a pause the later of two windows begins with what stood at the end of the earlier."""
        for minute, kilowatt_hours in ((0, 10.0), (59, 11.0), (61, 14.0)):
            bench.read("meter", ["energy", kilowatt_hours, "", MONDAY_9 - 3 * HOUR + minute * MINUTE])
        bench.until_closed(5 * MINUTE)
        assert [line.split(" ")[1].partition(",")[0] for line in bench.told()] == ["delta=1.000", "delta=3.000"]

    def test_people_are_withheld(self, bench: Bench) -> None:
        """P2 has no budget yet: counted by class, in no window and no journal."""
        bench.read("door", ["people_count", 31], ["people_in", 400])
        assert bench.audit().balance["withheld"] == 2
        assert bench.store._connection.execute("SELECT count(*) FROM journal").fetchall() == [(0,)]
        bench.until_closed(2 * HOUR)
        assert bench.told() == []

    def test_after_a_restart_devices_get_their_lateness(self, bench: Bench) -> None:
        """A device that waited for the agent to come back is not late."""
        bench.read("mast", ["temperature", 10])
        bench.stop()
        bench.clock.advance(HOUR)
        bench.start()
        bench.pass_time(SECOND)
        bench.settle()
        assert bench.told() == []
        bench.read("mast", ["temperature", 20, "", MONDAY_9 + 30 * SECOND])
        bench.until_closed(3 * MINUTE)
        assert bench.audit().balance["late"] == 0
        assert "mean=20.00" in bench.told()[0]

    def test_a_clock_set_back_tells_nothing_twice(self, bench: Bench) -> None:
        """What was closed stays closed: readings that seem to lie there again are late, and counted."""
        for _ in range(5):
            bench.read("mast", ["temperature", 10])
            bench.until_closed(MINUTE)
        told = bench.told()
        bench.clock.step(-4 * MINUTE)
        for _ in range(12):
            bench.read("mast", ["temperature", 30])
            bench.until_closed(MINUTE)
        starts = [line.rpartition(" ")[2] for line in bench.told()]
        assert len(set(starts)) == len(starts) > len(told)
        assert bench.told()[: len(told)] == told
        found = bench.audit()
        assert found.balance["late"] > 0
        assert found.faults == []

    def test_the_mean_of_a_room_in_a_lesson(self, bench: Bench) -> None:
        """End to end in one class: a quarter hour, coarse, without extremes, stamped with its start."""
        for minute in range(18):
            bench.read("air", ["carbon_dioxide", 600 + 20 * minute])
            bench.until_closed(MINUTE)
        [line] = bench.told()
        assert line == (
            "carbon_dioxide,building=a,device=air,room=a-301,school=cn-002,window=900 "
            f"mean=750,n=15i,expected=15i {MONDAY_9}"
        )


class TestSafety:
    """Safety is told at once, every change, each with a second of its own."""

    def test_told_at_once(self, bench: Bench) -> None:
        """Within the group's commit, in the next batch, and sent: no cadence in between."""
        bench.arrive("alarm", frame(["smoke", 1]))
        bench.settle()
        [send] = bench.sends
        assert lines_of(send) == [f"smoke,building=a,device=alarm,room=a-301,school=cn-002,window=1 last=1 {MONDAY_9}"]
        assert bench.clock.now() - MONDAY_9 < SECOND

    def test_every_change_has_its_own_second(self, bench: Bench) -> None:
        """Alarm and all-clear within one second, and one that is stamped earlier: never one stamp twice."""
        for state in (1, 0, 1, 1, 0):
            bench.arrive("alarm", frame(["smoke", state, "", MONDAY_9]))
        bench.settle()
        bench.restart()
        bench.read("alarm", ["smoke", 1, "", MONDAY_9 - MINUTE])
        stamps = [int(line.rpartition(" ")[2]) - MONDAY_9 for line in bench.told()]
        assert stamps == [0, SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
        assert bench.audit().balance["summarised"] == 6

    def test_an_outage_does_not_hide_it(self, bench: Bench) -> None:
        """When the centre answers again, the alarm is in the first batch after what was under way."""
        bench.read("mast", ["temperature", 1])
        bench.until_closed(5 * MINUTE)
        bench.answer(undelivered)
        bench.read("alarm", ["smoke", 1])
        bench.until_closed(10 * MINUTE)
        bench.sends[:] = bench.sends[-1:]
        bench.answer(delivered)
        assert any(line.startswith("smoke") for line in lines_of(bench.sends[0]))


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

    def test_the_newest_first_when_it_heals(self, bench: Bench) -> None:
        """What is live is sealed before the backlog; the sealed batches go in order all the same."""
        self.fill(bench, 20)
        order, starts = [], []
        while bench.sends:
            send = bench.answer(delivered)
            order.append(send.batch.sequence)
            starts.append([int(line.rpartition(" ")[2]) for line in lines_of(send)])
            bench.until_closed(MINUTE)
        assert order == list(range(1, len(order) + 1))
        assert starts[4] == sorted(starts[4], reverse=True), "newest first"
        assert bench.core.state.waiting == 0

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
        """Retry-After is kept, to the second."""
        self.fill(bench, 4)
        bench.answer(lambda batch: Undelivered(batch, "HTTP 503", 90))
        bench.until_closed(80 * SECOND)
        assert not bench.sends
        bench.until_closed(20 * SECOND)
        assert bench.sends

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
        bench.play(Delivered(send.batch))
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


class TestReports:
    """The agent's own report goes the same way as all else."""

    def test_a_report_is_a_batch(self, tmp_path: Path) -> None:
        """Sealed, numbered and chained with the rest; delivered, it leaves the balance as it is."""
        bench = Bench(tmp_path)
        bench.read("air", CO2)
        bench.until_closed(5 * MINUTE)
        send = bench.sends[0]
        while send.path == WRITE_PATH:
            bench.answer(delivered)
            send = bench.sends[0]
        assert send.path == REPORT_PATH
        report = AgentReport.from_dict(json.loads(unseal(send.body)))
        assert (report.received, report.open) == (1, 1)
        bench.answer(delivered)
        found = bench.audit()
        assert found.faults == []
        assert not bench.core.state.unacknowledged
        bench.stop()

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
        assert report.room_minutes == pytest.approx((1 << 30) / 200 / 2, rel=0.01)
