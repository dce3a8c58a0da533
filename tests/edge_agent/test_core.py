"""The core: what it does with each event, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.counts import CountKey
from edge_agent.events import Arrival, Arrived, Batch, Committed, Tick
from edge_agent.pending import ENOUGH_FRAMES, MOST_FRAMES
from edge_agent.timing import Timing
from edge_agent.transactions import Kind
from telemetry import Placement
from tests.edge_agent.harness import (
    HOUR,
    MINUTE,
    MONDAY_9,
    SECOND,
    Bench,
    bind,
    delivered,
    frame,
    lines_of,
    undelivered,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CO2: Final = ["carbon_dioxide", 700]
MONDAY_7_58: Final = MONDAY_9 - HOUR - 2 * MINUTE
"""In the last hour before lessons, of which nothing is told."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    yield made
    made.stop()


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
        assert len(bench.commits[0].batches) == 2

    def test_a_full_group_does_not_wait(self, bench: Bench) -> None:
        """Enough frames are a transaction at once; of those that come meanwhile, the next takes what it may."""
        bench.arrive("air", *[frame(CO2)] * (ENOUGH_FRAMES - 1))
        assert not bench.commits
        bench.arrive("air", *[frame(CO2)] * (MOST_FRAMES + 2))
        assert len(bench.commits[0].batches) == ENOUGH_FRAMES
        bench.commit()
        assert len(bench.commits[0].batches) == MOST_FRAMES
        bench.settle()
        assert len(bench.acknowledged) == ENOUGH_FRAMES + MOST_FRAMES + 1

    def test_acknowledged_only_when_on_disk(self, bench: Bench) -> None:
        """No token comes back before the commit's own word, whatever happens meanwhile."""
        bench.arrive("air", frame(CO2), token="a")
        bench.pass_time(100)
        transaction = bench.commits.pop()
        bench.pass_time(10 * SECOND)
        bench.arrive("air", frame(CO2), token="b")
        written = bench.store.commit(transaction)
        assert bench.acknowledged == []
        assert bench.core.state.open_readings() == 0, "memory follows the disk, never leads"
        bench.play(Committed(transaction, written))
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

    def test_the_next_transaction_is_made_while_one_is_written(self, bench: Bench) -> None:
        """It knows the copies of what is on its way to the disk, and goes as soon as that is there."""
        bench.arrive("air", *[frame(CO2)] * (ENOUGH_FRAMES - 1))
        bench.arrive("air", frame(CO2), session="s", packet_id=7)
        bench.arrive("air", frame(CO2), session="s", packet_id=7, duplicate=True)
        bench.arrive("air", *[frame(CO2)] * MOST_FRAMES)
        assert bench.core.pending == ENOUGH_FRAMES + 1 + MOST_FRAMES
        assert not bench.core.is_idle
        bench.commit()
        assert bench.commits[0].kind is Kind.JOURNAL
        assert bench.commits[0].counts[CountKey("duplicate", "air")] == 1
        bench.settle()
        found = bench.audit()
        assert found.faults == []
        assert (found.balance["admitted"], found.balance["duplicate"]) == (ENOUGH_FRAMES + MOST_FRAMES, 1)

    def test_a_flood_keeps_nothing_else_from_its_turn(self, bench: Bench) -> None:
        """Windows close within a fraction of a second, however many frames wait."""
        bench.read("mast", ["temperature", 5])
        bench.until_closed(3 * MINUTE - 10 * SECOND)
        bench.clock.advance(9 * SECOND)
        flood = Batch([Arrival(frame(CO2))] * MOST_FRAMES, MONDAY_9 + 3 * MINUTE, "air")
        kinds = []
        bench.play(Arrived([flood]))
        for _ in range(40):
            bench.play(Arrived([flood]))
            kinds.append(bench.commits[0].kind)
            bench.commit()
            bench.clock.advance(50)
        assert kinds.count(Kind.CLOSE) == 1
        assert kinds.index(Kind.CLOSE) <= 1000 // 50 + bench.timing.close_every_s * 1000 // 50 + 1
        bench.settle()
        assert bench.audit().faults == []

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


class TestWindows:
    """Windows close when their lateness is over, once."""

    def test_a_window_that_a_stricter_configuration_would_not_have_opened_is_not_told(self, bench: Bench) -> None:
        """Opened by the minute outdoors; the same device is in a room when it is over."""
        bench.read("mast", ["temperature", 10])
        strict = bind("mast", ("temperature", "wind_speed"), placement=Placement.INDOOR)
        bench.devices = tuple(strict if each.device == "mast" else each for each in bench.devices)
        bench.restart()
        bench.until_closed(5 * MINUTE)
        assert bench.told() == []
        assert bench.core.state.counts[CountKey("withheld", "mast", "rule_changed")] == 1
        assert bench.audit().faults == []

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
            bench.read("meter", ["energy", kilowatt_hours, "", MONDAY_9 - HOUR + minute * MINUTE])
        bench.pass_time(65 * MINUTE)
        bench.until_closed(5 * MINUTE)
        assert [line.split(" ")[1].partition(",")[0] for line in bench.told()] == ["delta=1.000", "delta=3.000"]

    def test_of_a_room_nothing_is_told_outside_timetable_hours(self, bench: Bench) -> None:
        """Neither its air nor its battery, nor that anything came in; outdoors the night is told as the day."""
        bench.pass_time(11 * HOUR)
        bench.settle()
        before = len(bench.told())
        for minute in range(10):
            bench.read("air", ["carbon_dioxide", 600 + minute], ["battery", 50])
            bench.read("mast", ["temperature", minute])
            bench.until_closed(MINUTE)
        bench.until_closed(2 * HOUR)
        told = bench.told()[before:]
        assert told
        assert all("device=mast" in line for line in told)
        found = bench.audit()
        assert found.faults == []
        assert found.devices["air"]["withheld"] == 20

    def test_people_are_withheld(self, bench: Bench) -> None:
        """P2 has no budget yet: counted by class, in no window and no journal."""
        bench.read("door", ["people_count", 31], ["people_in", 400])
        assert bench.audit().balance["withheld"] == 2
        assert bench.store._connection.execute("SELECT count(*) FROM journal WHERE length(runs)").fetchall() == [(0,)]
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

    def test_a_clock_set_back_tells_again_as_a_revision(self, bench: Bench) -> None:
        """What was told stays as it was; what is measured in those minutes again is told as revisions, none is late."""
        for _ in range(5):
            bench.read("mast", ["temperature", 10])
            bench.until_closed(MINUTE)
        told = bench.told()
        bench.clock.step(-4 * MINUTE)
        for _ in range(12):
            bench.read("mast", ["temperature", 30])
            bench.until_closed(MINUTE)
        keys = [(line.partition(" ")[0], line.rpartition(" ")[2]) for line in bench.told()]
        assert len(set(keys)) == len(keys)
        assert [line for line in bench.told() if "revision" not in line][: len(told)] == told
        revisions = [line for line in bench.told() if ",revision=2," in line]
        assert revisions
        assert all("mean=30.00" in line for line in revisions)
        found = bench.audit()
        assert found.balance["late"] == 0
        assert found.faults == []

    def test_a_restart_goes_on_with_the_revisions(self, bench: Bench) -> None:
        """The turn is durable, with the windows as they were then."""
        for _ in range(5):
            bench.read("mast", ["temperature", 10])
            bench.until_closed(MINUTE)
        bench.clock.step(-4 * MINUTE)
        bench.pass_time(SECOND)
        bench.settle()
        bench.restart()
        assert bench.core.state.turn.number == 1
        bench.read("mast", ["temperature", 30])
        bench.until_closed(4 * MINUTE)
        assert any(",revision=2," in line for line in bench.told())
        assert bench.audit().faults == []

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


@pytest.mark.parametrize("at_once", [False, True])
def test_windows_that_close_together_are_told_as_those_that_close_one_by_one(tmp_path: Path, at_once: bool) -> None:
    """What a window that is withheld ended with stands in the next one, also where both are over at one look."""
    bench = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9), at_ms=MONDAY_7_58)
    bench.read("air", ["carbon_dioxide", 400])
    bench.clock.advance(3 * MINUTE)
    bench.read("air", ["carbon_dioxide", 800])
    if at_once:
        bench.clock.advance(30 * MINUTE)
    bench.until_closed(30 * MINUTE)
    assert [line.split(" ")[1] for line in bench.told() if "carbon" in line] == ["mean=700,n=5i,expected=15i"]
    bench.stop()
