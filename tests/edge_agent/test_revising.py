"""What comes after its window was told leaves once, at night, as a revision; and stays counted as late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent import late_windows
from edge_agent.counts import CountKey
from edge_agent.late_windows import MOST_KEPT
from edge_agent.timing import Timing
from telemetry import Summary, decode_all
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SECOND, Bench, bind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

QUARTER = 15 * MINUTE
MIDNIGHT = MONDAY_9 - 9 * HOUR + DAY
CALM = Timing(lateness_ms=2 * MINUTE, batch_every_s=1e9, report_every_s=1e9)
"""Nothing is sealed: every summary can be looked at."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, timing=CALM)
    yield bench
    bench.stop()


def send(bench: Bench, minutes: Sequence[int], value: float = 800, quantity: str = "carbon_dioxide") -> None:
    """Readings of these minutes after nine, as the device states them."""
    device = {"energy": "meter", "smoke": "alarm", "people_count": "door"}.get(quantity, "air")
    for minute in minutes:
        bench.read(device, [quantity, value, "", MONDAY_9 + minute * MINUTE + SECOND])


def until(bench: Bench, moment_ms: int) -> None:
    """Time passes, with everything done that becomes due; another device reports in time all the while."""
    while bench.clock.now() < moment_ms:
        bench.pass_time(min(5 * MINUTE, moment_ms - bench.clock.now()))
        bench.read("mast", ["temperature", 10])


def live(bench: Bench, minutes: Sequence[int], value: float, quantity: str = "carbon_dioxide") -> None:
    """Readings of these minutes after nine, each in its minute."""
    for minute in minutes:
        until(bench, MONDAY_9 + minute * MINUTE + SECOND)
        send(bench, [minute], value, quantity)


def told(bench: Bench, quantity: str = "carbon_dioxide") -> list[Summary]:
    every = decode_all("".join(f"{line}\n" for line in bench.told()).encode())
    return [each for each in every if each.series.quantity == quantity]


def revisions(bench: Bench, quantity: str = "carbon_dioxide") -> list[Summary]:
    return [each for each in told(bench, quantity) if each.series.revision]


def counted(bench: Bench, stage: str) -> int:
    return sum(number for key, number in bench.core.state.counts.items() if key.stage == stage)


def test_a_device_that_kept_its_readings_through_an_outage_is_told_at_night(bench: Bench) -> None:
    """Not a minute before two: when it leaves says nothing of when the device was heard again."""
    until(bench, MONDAY_9 + 80 * MINUTE)
    send(bench, range(60), 750)
    assert counted(bench, "late") == 60
    until(bench, MIDNIGHT + 2 * HOUR - MINUTE)
    assert told(bench) == []
    until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    found = revisions(bench)
    assert [each.start_ms for each in found] == [MONDAY_9 + quarter * QUARTER for quarter in range(4)]
    assert all(each.fields == {"mean": 750, "n": 15, "expected": 15} for each in found)
    assert counted(bench, "revised") == counted(bench, "late") == 60
    audit = bench.audit()
    assert audit.faults == []
    assert audit.devices["air"]["admitted"] == audit.devices["air"]["late"] == 60


def test_a_window_of_which_a_part_came_in_time_is_told_whole(bench: Bench) -> None:
    """As if all had come in time: the same mean, over the same slots."""
    live(bench, range(8), 600)
    until(bench, MONDAY_9 + 40 * MINUTE)
    send(bench, range(8, 15), 900)
    until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    first, revised = told(bench)
    assert (first.series.revision, first.fields) == (0, {"mean": 600, "n": 11, "expected": 15})
    assert (revised.series.revision, revised.start_ms) == (1, MONDAY_9)
    assert revised.fields == {"mean": 750, "n": 15, "expected": 15}, "8 of 600 and 7 of 900, to 50 ppm"
    assert (bench.audit().devices["air"]["summarised"], counted(bench, "revised")) == (8, 7)


def test_a_window_that_lacked_nothing_is_not_told_again(bench: Bench) -> None:
    live(bench, range(15), 600)
    until(bench, MONDAY_9 + 40 * MINUTE)
    send(bench, range(15), 900)
    until(bench, MIDNIGHT + 3 * HOUR)
    assert revisions(bench) == []
    assert (counted(bench, "late"), counted(bench, "revised")) == (15, 0)


@pytest.mark.parametrize("in_time", [0, 3])
def test_a_window_is_revised_once(bench: Bench, in_time: int) -> None:
    """What comes for it on another day is left out, and so is what comes later in the same night."""
    live(bench, range(in_time), 500)
    until(bench, MONDAY_9 + 40 * MINUTE)
    send(bench, range(5), 600)
    until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    assert len(revisions(bench)) == 1
    send(bench, range(5, 15), 900)
    until(bench, MIDNIGHT + 3 * HOUR)
    send(bench, range(5, 15), 900)
    until(bench, MIDNIGHT + DAY + 3 * HOUR)
    assert len(revisions(bench)) == 1
    assert (counted(bench, "late"), counted(bench, "revised")) == (25, 5)


def test_people_are_never_revised(bench: Bench) -> None:
    """A count of people is noised once in its life."""
    until(bench, MONDAY_9 + 3 * HOUR)
    send(bench, range(60), 5, "people_count")
    until(bench, MIDNIGHT + 3 * HOUR)
    assert told(bench, "people_count") == []
    assert counted(bench, "revised") == 0
    assert bench.audit().faults == []


def meter(bench: Bench, minutes: Sequence[int], *, is_late: bool = False) -> None:
    """A meter that stands at a hundredth of a kWh for each minute since nine."""
    for minute in minutes:
        if not is_late:
            until(bench, MONDAY_9 + minute * MINUTE + SECOND)
        send(bench, [minute], minute / 100, "energy")


@pytest.mark.parametrize(
    ("silent", "at_first", "revised"),
    [
        pytest.param(range(80, 100), {9: 590, 10: 600, 11: 600}, {10: 600}, id="within an hour"),
        pytest.param(range(80, 120), {9: 590, 10: 200, 11: 1000}, {10: 600, 11: 600}, id="to the end of an hour"),
        pytest.param(range(90, 150), {9: 590, 10: 300, 11: 900}, {10: 600, 11: 600}, id="over the end of an hour"),
        pytest.param(range(50, 125), {9: 490, 11: 540}, {9: 590, 10: 600, 11: 600}, id="a whole hour"),
    ],
)
def test_increases_are_told_in_the_hours_to_which_they_belong(
    bench: Bench, silent: Sequence[int], at_first: dict[int, int], revised: dict[int, int]
) -> None:
    """The hour after a silence is told again, too: none of the increase twice, and none of it left out."""
    meter(bench, [minute for minute in range(180) if minute not in silent])
    until(bench, MONDAY_9 + 5 * HOUR)
    assert _by_hour(told(bench, "energy")) == at_first
    meter(bench, silent, is_late=True)
    until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    assert _by_hour(revisions(bench, "energy")) == revised
    assert counted(bench, "revised") == len(silent)
    meter(bench, [*silent, 130, 170], is_late=True)
    until(bench, MIDNIGHT + DAY + 3 * HOUR)
    assert len(revisions(bench, "energy")) == len(revised)
    assert bench.audit().faults == []


def _by_hour(found: Sequence[Summary]) -> dict[int, int]:
    """How much a counter rose, in thousandths, by the hour of the day."""
    return {9 + (each.start_ms - MONDAY_9) // HOUR: each.fields["delta"] for each in found}


def test_what_may_not_be_told_in_time_is_not_told_at_night_either(bench: Bench) -> None:
    until(bench, MONDAY_9 + 12 * HOUR)
    send(bench, range(9 * 60, 10 * 60), 600)
    until(bench, MIDNIGHT + 3 * HOUR)
    assert told(bench) == []
    assert (counted(bench, "late"), counted(bench, "revised")) == (60, 0)
    assert bench.audit().faults == []


@pytest.mark.parametrize("is_kept", [False, True], ids=["journal", "checkpoint"])
@pytest.mark.parametrize("is_lost", ["before", "after"])
def test_a_crash_changes_nothing(bench: Bench, is_lost: str, *, is_kept: bool) -> None:
    """Before the night as after it, from the journal and from a checkpoint."""
    live(bench, range(8), 600)
    until(bench, MONDAY_9 + 40 * MINUTE)
    send(bench, range(8, 30), 900)
    if is_lost == "after":
        until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    if is_kept:
        bench.checkpoint()
    state = bench.core.state
    late, windows = state.late, state.windows
    bench.restart()
    assert (bench.core.state.late, bench.core.state.windows) == (late, windows)
    until(bench, MIDNIGHT + 3 * HOUR)
    assert [(each.start_ms, each.fields["mean"]) for each in revisions(bench)] == [
        (MONDAY_9, 750),
        (MONDAY_9 + QUARTER, 900),
    ]
    assert (counted(bench, "late"), counted(bench, "revised")) == (22, 22)
    assert bench.audit().faults == []


def test_a_clock_set_back_after_the_night_tells_above_the_revision(bench: Bench) -> None:
    """No two of one number: readers take the highest."""
    until(bench, MONDAY_9 + 40 * MINUTE)
    send(bench, range(15), 600)
    until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    bench.clock.step(MONDAY_9 - bench.clock.now())
    for _ in range(20):
        bench.read("air", ["carbon_dioxide", 1000])
        until(bench, bench.clock.now() + MINUTE)
    found = [each for each in told(bench) if each.start_ms == MONDAY_9]
    assert [(each.series.revision, each.fields["mean"]) for each in found] == [(1, 600), (2, 1000)]
    assert bench.audit().faults == []


def test_what_comes_after_four_in_the_night_waits_for_the_next_one(bench: Bench) -> None:
    """A revision by day would say when the device was heard again."""
    until(bench, MIDNIGHT + 4 * HOUR)
    send(bench, range(15), 750)
    until(bench, MIDNIGHT + DAY + 2 * HOUR - MINUTE)
    assert (revisions(bench), counted(bench, "late")) == ([], 15)
    until(bench, MIDNIGHT + DAY + 2 * HOUR + MINUTE)
    assert [each.start_ms for each in revisions(bench)] == [MONDAY_9]


def test_so_many_late_windows_are_kept_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with a year of readings fills no memory."""
    monkeypatch.setattr(late_windows, "MOST_LATE", 2)
    until(bench, MONDAY_9 + 80 * MINUTE)
    for quarter in range(4):
        send(bench, [15 * quarter], 750)
    until(bench, MIDNIGHT + 2 * HOUR + MINUTE)
    assert [each.start_ms for each in revisions(bench)] == [MONDAY_9, MONDAY_9 + QUARTER]
    assert counted(bench, "late") == 4


def test_of_each_series_a_few_windows_are_kept(bench: Bench) -> None:
    """Memory is bounded: of what lacked slots long ago, more is counted and left out."""
    quarters = MOST_KEPT + 3
    for quarter in range(quarters):
        live(bench, [15 * quarter], 80, "battery")
        until(bench, MONDAY_9 + (quarter + 1) * QUARTER)
    until(bench, bench.clock.now() + QUARTER)
    (series,) = (each for key, each in bench.core.state.late._series.items() if key[2] == "battery")
    assert len(series.lacking) == MOST_KEPT
    assert CountKey("late", "air") not in bench.core.state.counts
    send(bench, [1], 80, "battery")
    send(bench, [15 * (quarters - 1) + 1], 80, "battery")
    assert (counted(bench, "late"), len(bench.core.state.late)) == (2, 1)


def test_what_was_measured_before_a_move_is_not_told_of_the_new_room(bench: Bench) -> None:
    """Neither what had come late by then, nor what comes later."""
    until(bench, MONDAY_9 + 40 * MINUTE)
    send(bench, range(15), 600)
    names = ("carbon_dioxide", "temperature", "battery")
    bench.devices = tuple(bind("air", names, room="a-302") if each.device == "air" else each for each in bench.devices)
    bench.restart()
    until(bench, MONDAY_9 + 60 * MINUTE)
    send(bench, range(15, 30), 700)
    bench.restart()
    send(bench, [16], 700)
    until(bench, MIDNIGHT + 3 * HOUR)
    assert told(bench) == []
    assert (counted(bench, "late"), counted(bench, "revised")) == (31, 0)
    assert bench.audit().faults == []
