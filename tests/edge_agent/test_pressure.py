"""A disk that fills: old bytes go first, then resolution, then senders wait; nothing is lost, and all is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from edge_agent import pending
from edge_agent.events import Uncommitted
from edge_agent.merging import MergeOrder, merges
from edge_agent.room import Room
from edge_agent.store import Store, summaries
from edge_agent.store.ballast import NAME
from edge_agent.store.summaries import understood
from edge_agent.timing import Timing
from edge_agent.transactions import Kind, NewSummary, Waiting
from telemetry import decode_all, vocabulary
from telemetry.summaries import LONGEST_WINDOW_S
from tests.edge_agent.harness import (
    DAY,
    DEVICES,
    HOUR,
    MINUTE,
    MONDAY_9,
    SECOND,
    TIMETABLE,
    Bench,
    delivered,
    frame,
    lines_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.privacy.rules import Rule

RULES = {(binding.device, quantity): rule for binding in DEVICES for quantity, rule in binding.rules.items()}


class Disk:
    """How much of it is free, as a test sets it."""

    def __init__(self) -> None:
        self.free = 1 << 30


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def bench(tmp_path: Path, disk: Disk) -> Iterator[Bench]:
    timing = Timing(lateness_ms=2 * MINUTE, report_every_s=10**9)
    made = Bench(tmp_path, timing=timing, room=Room(None, lambda: disk.free))
    yield made
    made.stop()


def live(bench: Bench, minutes: int, *, answered: bool) -> None:
    for minute in range(minutes):
        bench.read("mast", ["temperature", minute % 30])
        bench.until_closed(MINUTE)
        if answered and bench.sends:
            bench.answer(delivered)


def test_old_bytes_become_hashes_first(bench: Bench, disk: Disk) -> None:
    """The ledger's oldest bodies go, in order; nothing that waits is touched, and the chain stays whole."""
    live(bench, 40, answered=True)
    before = bench.audit().balance
    disk.free = int(bench.core.state.used_bytes * 0.15)
    bench.until_closed(2 * MINUTE)
    rows = bench.store._connection.execute("SELECT state, body IS NULL FROM batch ORDER BY id").fetchall()
    gone = [bool(is_gone) for state, is_gone in rows if state == "acknowledged"]
    assert any(gone)
    assert gone == [True] * sum(gone) + [False] * (len(gone) - sum(gone)), "the oldest first"
    assert not any(is_gone for state, is_gone in rows if state != "acknowledged")
    found = bench.audit()
    assert found.faults == []
    assert (found.balance["merged"], before["merged"]) == (0, 0)
    assert not bench.is_holding


def test_then_summaries_are_merged(bench: Bench, disk: Disk) -> None:
    """Whole aligned groups become one summary over a longer window, the oldest first; each that is gone is counted."""
    live(bench, 180, answered=False)
    waiting = bench.core.state.waiting
    disk.free = 0
    bench.until_closed(10 * SECOND)
    found = bench.audit()
    assert found.faults == []
    assert found.balance["merged"] > 100
    assert bench.core.state.waiting == waiting - found.balance["merged"]
    merged = [line for line in bench.told() if ",window=900 " in line]
    assert merged
    assert all("n=15i,expected=15i" in line for line in merged[1:-1])
    disk.free = 1 << 30
    bench.until_closed(10 * MINUTE)
    while bench.sends:
        bench.answer(delivered)
        bench.until_closed(MINUTE)
    found = bench.audit()
    assert found.faults == []
    assert found.balance["waiting"] == 0


def test_what_can_be_merged_by_now_is_merged(bench: Bench, disk: Disk) -> None:
    """Where there was nothing left to give up, an hour more of windows is: a centre may be away for weeks."""
    live(bench, 40, answered=False)
    merged = []
    for minute in range(120):
        disk.free = int(bench.core.state.used_bytes * 0.13)
        live(bench, 1, answered=False)
        if minute in (30, 119):
            merged.append(bench.audit().balance["merged"])
        assert not bench.is_holding
    assert merged[1] > merged[0] + 50 > 50
    assert bench.audit().faults == []


def test_events_of_safety_stand_in_no_merges_way(bench: Bench, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are never merged: an alarm that came and went all night leaves the oldest that wait."""
    monkeypatch.setattr("edge_agent.pressure.MERGED_AT_ONCE", 50)
    for number in range(60):
        bench.read("alarm", ["smoke", number % 2])
        bench.pass_time(SECOND)
    live(bench, 40, answered=False)
    disk.free = 0
    bench.until_closed(10 * SECOND)
    assert bench.audit().balance["merged"] >= 14
    assert bench.audit().faults == []


def test_a_longer_window_is_remembered_while_a_part_of_it_may_come_back(tmp_path: Path) -> None:
    """A batch of parts may be refused, or sealed anew under another name, long after the others were merged."""
    store = Store(tmp_path, new_epoch=lambda: "0123456789abcdef")
    longest_ms = LONGEST_WINDOW_S * 1000
    day = NewSummary("temperature,device=mast,window=86400", MONDAY_9, "mean=1")
    older = NewSummary(day.series, MONDAY_9 - 1, "mean=1")
    for told in (day, older):
        assert summaries.note_merged(store._connection, told)
    summaries.forget_merged(store._connection, MONDAY_9 + longest_ms)
    assert not summaries.note_merged(store._connection, day), "of this one a part is in a batch"
    assert summaries.note_merged(store._connection, older), "and of this one none"
    store.close()


def test_what_the_vocabulary_lacks_is_not_merged(bench: Bench, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quantity that an upgrade took away stops nothing: the others are merged, and sealing gives it up, counted."""
    for minute in range(40):
        bench.read("mast", ["temperature", minute], ["wind_speed", 1])
        bench.until_closed(MINUTE)
    bench.until_closed(10 * MINUTE)
    monkeypatch.delitem(vocabulary._TABLE, "wind_speed")
    disk.free = 0
    bench.until_closed(10 * SECOND)
    told = bench.told()
    assert [line for line in told if line.startswith("temperature") and ",window=900 " in line]
    assert not [line for line in told if line.startswith("wind_speed") and ",window=900 " in line]
    assert bench.audit().faults == []


def test_in_the_end_senders_wait(bench: Bench, disk: Disk) -> None:
    """With nothing left to give up, nothing is taken in and nothing is acknowledged, until there is room."""
    live(bench, 3, answered=False)
    disk.free = 0
    bench.until_closed(30 * SECOND)
    assert bench.is_holding
    bench.acknowledged.clear()
    bench.arrive("mast", frame(["temperature", 7]), token="waits")
    for _ in range(300):
        bench.pass_time(SECOND)
        while bench.commits:
            bench.commit()
    assert bench.acknowledged == []
    disk.free = 1 << 30
    bench.until_closed(10 * SECOND)
    assert not bench.is_holding
    assert bench.acknowledged == ["waits"]
    assert bench.audit().faults == []


def test_a_full_disk_ends_nothing(tmp_path: Path) -> None:
    """SQLite says it is full in the middle of a life: what came in waits, the ballast goes, and all is well after."""
    bench = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    live(bench, 30, answered=True)
    bench.checkpoint()
    assert (tmp_path / NAME).exists()
    pages = bench.store._connection.pragma("page_count")
    bench.store._connection.pragma("max_page_count", pages)
    sent = 0
    while not bench.is_holding:
        assert sent < 100_000
        bench.arrive("air", *[frame(["carbon_dioxide", 600, str(channel)]) for channel in range(200)])
        bench.pass_time(100)
        if bench.commits:
            bench.commit()
        sent += 200
    assert not (tmp_path / NAME).exists()
    for _ in range(20):
        bench.pass_time(500)
        if bench.commits:
            bench.commit()
    assert bench.audit().faults == []
    bench.store._connection.pragma("max_page_count", 1 << 30)
    bench.until_closed(30 * SECOND)
    assert not bench.is_holding
    found = bench.audit()
    assert found.faults == []
    assert found.balance["received"] == sent + 30
    bench.stop()


def test_an_alarm_waits_no_longer_than_the_full_disk(bench: Bench) -> None:
    """Where there was no room to seal it, it is sealed as soon as there is, and not a cadence later."""
    bench.until_closed(10 * SECOND)
    bench.arrive("alarm", frame(["smoke", 1]))
    bench.pass_time(200)
    bench.commit()
    [seal] = bench.commits
    assert seal.kind is Kind.SEAL
    bench.commits.clear()
    bench.play(Uncommitted(seal))
    bench.until_closed(10 * SECOND)
    assert bench.sends
    assert lines_of(bench.sends[0])[0].startswith("smoke,")


def test_what_a_full_disk_leaves_no_room_for_is_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the disk was full when it was first counted: a serial line waits for nobody."""
    monkeypatch.setattr(pending, "HOLD_FROM", 50)
    bench.arrive("air", *[frame(["carbon_dioxide", 600])] * 150)
    bench.pass_time(100)
    bench.play(Uncommitted(bench.commits.pop()))
    bench.until_closed(30 * SECOND)
    found = bench.audit()
    assert found.rejected == {"no_room": 50}
    assert found.balance["received"] == 150


def test_a_full_disk_at_the_start_has_the_ballast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No crash loop: the room that was kept is given up, and the store opens."""
    bench = Bench(tmp_path)
    bench.read("mast", ["temperature", 1])
    bench.checkpoint()
    bench.stop()
    ballast = tmp_path / NAME
    real = apsw.Connection

    def connect(*args: object, **kwargs: object) -> apsw.Connection:
        if ballast.exists():
            raise apsw.FullError
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(apsw, "Connection", connect)
    bench.start()
    assert not ballast.exists()
    bench.read("mast", ["temperature", 1])
    assert bench.audit().balance["received"] == 2
    bench.stop()


class TestMerging:
    """Fields of a group, as one summary over the longer window."""

    def merge(self, *lines: str, until: int = MONDAY_9 + DAY) -> list[str]:
        order = MergeOrder(100, until, TIMETABLE.day_start, self.rule_of)
        waiting = [Waiting(number, 0, line) for number, line in enumerate(lines)]
        return [each.merged.line for each in merges(understood(waiting), order)]

    def rule_of(self, device: str, quantity: str) -> Rule | None:
        return RULES.get((device, quantity))

    def line(
        self, fields: str, minutes: int, *, quantity: str = "temperature", device: str = "mast", s: int = 60
    ) -> str:
        tags = f"building=a,device={device},room=a-301,school=cn-002,window={s}"
        return f"{quantity},{tags} {fields} {MONDAY_9 + minutes * MINUTE}"

    def test_means_are_weighed_by_their_slots(self) -> None:
        """A mean of one slot counts a third of a mean of three; extremes, counts and expectations are kept."""
        [merged] = self.merge(
            self.line("mean=10.00,min=9.00,max=11.00,n=3i,expected=3i", 0),
            self.line("mean=20.00,min=20.00,max=20.00,n=1i,expected=3i", 1),
        )
        assert merged == self.line("mean=12.50,min=9.00,max=20.00,n=4i,expected=6i", 0, s=900)

    def test_what_is_coarse_stays_coarse(self) -> None:
        """CO2 of a room is told to 50 ppm, also as a mean of means."""
        co2 = {"quantity": "carbon_dioxide", "device": "air", "s": 900}
        lines = [
            f"carbon_dioxide,building=a,device=air,room=a-301,school=cn-002,window=900 "
            f"mean={mean},n=15i,expected=15i {MONDAY_9 + quarter * 15 * MINUTE}"
            for quarter, mean in enumerate((700, 750, 750, 750))
        ]
        assert co2
        [merged] = self.merge(*lines)
        assert "mean=750,n=60i,expected=60i" in merged
        assert "window=3600" in merged

    def test_counters_add_up(self) -> None:
        """What a meter counted in four quarters, it counted in the hour; a day begins at local midnight."""
        hours = [
            f"energy,building=a,device=meter,room=a-301,school=cn-002,window=3600 delta=0.500,n=60i,expected=60i "
            f"{MONDAY_9 + hour * HOUR}"
            for hour in range(3)
        ]
        [merged] = self.merge(*hours)
        assert "delta=1.500,n=180i,expected=180i" in merged
        [summary] = decode_all(f"{merged}\n".encode())
        assert summary.start_ms == MONDAY_9 - 9 * HOUR

    def test_only_whole_groups(self) -> None:
        """A longer window that is not over, one with a single member, an event: all stay as they are."""
        pair = [self.line("mean=1.00,min=1.00,max=1.00,n=1i,expected=1i", minute) for minute in (0, 1)]
        assert self.merge(*pair, until=MONDAY_9 + 14 * MINUTE) == []
        assert self.merge(pair[0]) == []
        smoke = "smoke,building=a,device=alarm,room=a-301,school=cn-002,window=1 last=1"
        assert self.merge(f"{smoke} {MONDAY_9}", f"{smoke} {MONDAY_9 + SECOND}") == []

    def test_a_device_without_a_rule_is_left_alone(self) -> None:
        """Nobody knows how coarse its summaries have to be."""
        gone = [self.line("mean=1.00,min=1.00,max=1.00,n=1i,expected=1i", m, device="gone") for m in (0, 1)]
        assert self.merge(*gone) == []
