"""A clock that cannot be believed, that is set, that lost its battery: nothing is lost, and nothing is told wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from edge_agent import unplaced
from edge_agent.clock_trust import ASK_EVERY_S, EARLIEST_MS, TOLERANCE_S, Confirmed, kernel_is_synchronised
from edge_agent.counts import CountKey
from edge_agent.store.engine import row
from edge_agent.timing import Timing
from telemetry import ManualClock
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SECOND, Bench, delivered, frame, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMING: Final = Timing(lateness_ms=2 * MINUTE, report_every_s=10**9)


class Doubt:
    """A clock's trust, as the test sets it."""

    def __init__(self, *, holds: bool) -> None:
        self.trusted = holds
        self.offset_ms = 0

    def holds(self) -> bool:
        return self.trusted

    def stepped(self) -> None:
        """As the real one: to be confirmed again by whoever the test is."""

    def heard(self, offset_s: float) -> None:
        raise AssertionError(offset_s)


@pytest.fixture
def doubt() -> Doubt:
    return Doubt(holds=False)


@pytest.fixture
def bench(tmp_path: Path, doubt: Doubt) -> Iterator[Bench]:
    made = Bench(tmp_path, timing=TIMING, clock_trust=doubt)
    yield made
    made.stop()


def boot(bench: Bench, wrong_ms: int) -> None:
    """Start with a clock that is so far off."""
    bench.clock.step(wrong_ms)
    bench.restart()


def confirm(bench: Bench, doubt: Doubt, step_ms: int) -> None:
    bench.clock.step(step_ms)
    doubt.trusted = True
    bench.pass_time(50)
    bench.settle()


@pytest.mark.parametrize("wrong_ms", [-MONDAY_9, -30 * DAY, -HOUR, 0, HOUR, 30 * DAY])
def test_a_start_before_the_time_is_known(bench: Bench, doubt: Doubt, wrong_ms: int) -> None:
    """Boot at 1970, a month off, an hour off, right: told once, at the right time, when the clock is confirmed."""
    boot(bench, wrong_ms)
    for minute in range(5):
        bench.read("mast", ["temperature", 10 + minute])
        bench.until_closed(MINUTE)
    assert bench.told() == []
    assert not bench.sends
    assert bench.core.state.open_readings() == 5
    assert bench.audit().faults == []
    confirm(bench, doubt, -wrong_ms)
    bench.until_closed(6 * MINUTE)
    starts = [int(line.rpartition(" ")[2]) for line in bench.told()]
    means = [line.partition("mean=")[2].partition(",")[0] for line in bench.told()]
    assert starts == [MONDAY_9 + minute * MINUTE for minute in range(5)]
    assert means == ["10.00", "11.00", "12.00", "13.00", "14.00"]
    found = bench.audit()
    assert found.faults == []
    assert (found.balance["late"], found.balance["open"]) == (0, 0)


def test_an_alarm_waits_for_the_time_too(bench: Bench, doubt: Doubt) -> None:
    """Nothing is sealed before; then every change is told at once, with its own second."""
    boot(bench, -30 * DAY)
    for state in (1, 0, 1):
        bench.read("alarm", ["smoke", state])
        bench.pass_time(10 * SECOND)
    assert not bench.sends
    confirm(bench, doubt, 30 * DAY)
    told = sorted(lines_of(bench.sends[0]), key=lambda line: line.rpartition(" ")[2])
    assert [line.rpartition("last=")[2].partition(" ")[0] for line in told] == ["1", "0", "1"]
    assert [int(line.rpartition(" ")[2]) - MONDAY_9 for line in told] == [0, 10 * SECOND, 20 * SECOND]
    assert bench.audit().faults == []


def test_a_restart_before_the_time_is_known_loses_nothing(bench: Bench, doubt: Doubt) -> None:
    """Two boots at 1970: the second goes on behind the first, and both are told before the moment of confirmation."""
    boot(bench, -MONDAY_9)
    bench.read("mast", ["temperature", 10])
    bench.checkpoint()
    bench.read("mast", ["temperature", 11])
    bench.clock.step(-bench.clock.now())
    bench.restart()
    bench.read("mast", ["temperature", 12])
    bench.clock.advance(MINUTE)
    confirm(bench, doubt, MONDAY_9)
    bench.until_closed(6 * MINUTE)
    told = bench.told()
    found = bench.audit()
    assert found.faults == []
    assert found.balance["summarised"] == 3
    assert all(MONDAY_9 - HOUR < int(line.rpartition(" ")[2]) <= bench.clock.now() for line in told)


def test_a_device_is_not_believed_by_a_clock_that_is_not(bench: Bench, doubt: Doubt) -> None:
    """An hour too fast, a device that is right would seem an hour late: it counts as measured on arrival."""
    boot(bench, HOUR)
    bench.read("mast", ["temperature", 10, "", MONDAY_9])
    confirm(bench, doubt, -HOUR)
    bench.until_closed(4 * MINUTE)
    assert [int(line.rpartition(" ")[2]) for line in bench.told()] == [MONDAY_9]
    assert bench.core.report().restamped == 1


def test_a_device_at_the_year_2000_is_counted(tmp_path: Path) -> None:
    """Its readings count as measured on arrival, and the report says how many rows did."""
    bench = Bench(tmp_path, timing=TIMING)
    bench.read("mast", ["temperature", 10, "", 946_684_800_000], ["wind_speed", 1, "", 946_684_800_000])
    bench.read("mast", ["temperature", 10, "", MONDAY_9 + DAY])
    bench.read("mast", ["temperature", 10, "", MONDAY_9 + SECOND])
    bench.until_closed(4 * MINUTE)
    assert {line.rpartition(" ")[2] for line in bench.told()} == {str(MONDAY_9)}
    assert bench.core.report().restamped >= 2
    bench.stop()


def test_a_clock_that_is_set_has_to_be_confirmed(bench: Bench, doubt: Doubt) -> None:
    """While trust is gone nothing closes; when it is back, what came meanwhile is where it belongs."""
    doubt.trusted = True
    bench.read("mast", ["temperature", 10])
    doubt.trusted = False
    bench.clock.step(30 * DAY)
    bench.until_closed(5 * MINUTE)
    bench.read("mast", ["temperature", 20])
    assert bench.told() == []
    bench.clock.step(-30 * DAY)
    doubt.trusted = True
    bench.until_closed(6 * MINUTE)
    starts = [int(line.rpartition(" ")[2]) - MONDAY_9 for line in bench.told()]
    assert starts == [0, 5 * MINUTE]
    bench.checkpoint()
    assert bench.core.report().clock_steps == 2
    assert bench.audit().faults == []


def test_what_waits_for_the_clock_is_bounded(bench: Bench, doubt: Doubt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days without the time cost resolution, never a reading, and never a change of an alarm."""
    monkeypatch.setattr(unplaced, "MOST", 40)
    for minute in range(200):
        bench.read("mast", ["temperature", 10])
        if minute % 25 == 0:
            bench.read("alarm", ["smoke", minute // 25 % 2])
        bench.clock.advance(MINUTE)
    assert len(bench.core.state.unplaced) <= 40
    assert bench.core.state.unplaced.readings == 208
    confirm(bench, doubt, 0)
    bench.until_closed(6 * MINUTE)
    found = bench.audit()
    assert found.faults == []
    assert found.balance["summarised"] == 208
    assert sum("smoke" in line for line in bench.told()) == 8


def test_an_alarm_that_comes_and_goes_is_bounded_too(
    bench: Bench, doubt: Doubt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loose contact without the time: its alarms become fewer, from the first to the last all-clear; a
    leak stays as it was, with the moment it began in."""
    monkeypatch.setattr(unplaced, "MOST", 40)
    times = []
    for minute in range(400):
        times.append(bench.clock.now() // SECOND * SECOND)
        bench.read("alarm", ["smoke", minute % 2])
        if minute % 4 == 0:
            bench.read("alarm", ["water_leak", int(minute > 0)])
        bench.clock.advance(MINUTE)
        assert len(bench.core.state.unplaced) <= 40
    assert bench.core.state.unplaced.readings == 500
    confirm(bench, doubt, 0)
    bench.until_closed(6 * MINUTE)
    found = bench.audit()
    assert found.faults == []
    assert found.balance["summarised"] == 500
    smoke = {(int(line.rpartition(" ")[2]), line.split(" ")[1]) for line in bench.told() if "smoke" in line}
    assert {(times[1], "last=1"), (times[399], "last=1")} < smoke
    leaks = [line.split(" ")[1:] for line in bench.told() if "water_leak" in line]
    assert [(fields, int(start_ms) // MINUTE) for fields, start_ms in leaks] == [
        ("last=0", times[0] // MINUTE),
        ("last=1", times[4] // MINUTE),
    ]


def test_a_clock_set_back_a_month_after_it_was_believed(tmp_path: Path) -> None:
    """The time service itself was wrong: what is told again is a revision; nothing is late for a month."""
    bench = Bench(tmp_path, timing=TIMING)
    bench.clock.step(30 * DAY)
    bench.read("mast", ["temperature", 1])
    bench.read("alarm", ["smoke", 1])
    bench.until_closed(5 * MINUTE)
    bench.clock.step(-30 * DAY)
    bench.read("mast", ["temperature", 2])
    bench.read("alarm", ["smoke", 0])
    bench.until_closed(5 * MINUTE)
    bench.restart()
    bench.read("mast", ["temperature", 3])
    bench.until_closed(5 * MINUTE)
    found = bench.audit()
    assert found.faults == []
    assert (found.balance["late"], found.balance["open"]) == (0, 0)
    keys = [(line.partition(" ")[0], line.rpartition(" ")[2]) for line in bench.told()]
    assert len(keys) == len(set(keys)) == 5
    assert sum(",revision=2," in series for series, _ in keys) == 3
    bench.stop()


def test_a_clock_that_is_not_believed_shortens_no_ledger(bench: Bench, doubt: Doubt) -> None:
    """By one that is years ahead the exact bytes of everything that left would be too old, and go for good."""
    doubt.trusted = True
    for minute in range(6):
        bench.read("mast", ["temperature", 10 + minute])
        bench.until_closed(MINUTE)
        if bench.sends:
            bench.answer(delivered)
    assert bench.core.state.counts[CountKey("acknowledged")]
    doubt.trusted = False
    bench.clock.step(10 * 365 * DAY)
    bench.checkpoint()
    shortened = "SELECT count(*) FROM batch WHERE body IS NULL"
    assert row(bench.store._connection, shortened)[0] == 0
    doubt.trusted = True
    bench.checkpoint()
    assert row(bench.store._connection, shortened)[0]


class TestTrust:
    """Who confirms the machine's clock."""

    def test_the_kernel_says_something(self) -> None:
        """Whatever it says here, it answers."""
        assert kernel_is_synchronised() in (True, False)

    def test_a_time_service_or_the_centre(self) -> None:
        """Either is enough; a centre that is seconds off is not; and a clock that was set is to be confirmed anew."""
        kept, clock = False, ManualClock(MONDAY_9)
        trust = Confirmed(clock, lambda: kept)
        assert not trust.holds()
        trust.heard(TOLERANCE_S + 1)
        assert not trust.holds()
        trust.heard(-1.5)
        assert trust.holds()
        assert trust.offset_ms == -1500
        trust.stepped()
        assert not trust.holds()
        kept = True
        clock.advance(int(1000 * ASK_EVERY_S))
        assert trust.holds()

    def test_the_kernel_is_not_asked_for_every_message(self) -> None:
        """A look at the clock comes with each message; a clock that was set is asked for at once."""
        answers, clock = iter((True, True, False)), ManualClock(MONDAY_9)
        trust = Confirmed(clock, lambda: next(answers))
        for _ in range(101):
            assert trust.holds()
            clock.advance(10)
        trust.stepped()
        assert not trust.holds()
        assert next(answers, None) is None

    def test_a_flat_battery(self) -> None:
        """Before 2025 nobody is believed."""
        trust = Confirmed(ManualClock(EARLIEST_MS - 1), lambda: True)
        trust.heard(0)
        assert not trust.holds()


def test_what_came_before_a_step_is_told_where_it_was(bench: Bench, doubt: Doubt) -> None:
    """Frames that wait for their commit while the clock is confirmed are stamped by the time that is right."""
    boot(bench, -DAY)
    bench.arrive("mast", frame(["temperature", 10]))
    bench.clock.advance(50)
    bench.clock.step(DAY)
    doubt.trusted = True
    bench.pass_time(100)
    bench.settle()
    bench.until_closed(5 * MINUTE)
    found = bench.audit()
    assert found.faults == []
    assert (found.balance["summarised"], found.balance["late"]) == (1, 0)
