"""Wall time may be scaled and shared; time for I/O never is."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from telemetry import Clock, ConfigurationError, ManualClock, ScaledClock, SystemClock, parse_clock

NOON = 1_760_000_400_000


def test_two_processes_share_scaled_time() -> None:
    """Processes with the same three numbers read the same time, whenever each was started."""
    speed = 600
    text = f"{NOON},{time.time_ns() // 1_000_000 - 5_000},{speed}"
    clock = parse_clock(text)
    before = clock.now()
    other = subprocess.run(
        [sys.executable, "-c", f"from telemetry import parse_clock; print(parse_clock({text!r}).now())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert before <= int(other.stdout) <= clock.now()
    assert before >= NOON + 5_000 * speed


def test_scaled_time_runs_at_its_speed() -> None:
    """A second of the machine is `speed` seconds of scaled time."""
    clock = ScaledClock(NOON, time.time_ns() // 1_000_000, 1000)
    start, started = clock.now(), time.monotonic()
    while time.monotonic() - started < 0.05:
        pass
    elapsed_ms = (time.monotonic() - started) * 1000
    assert clock.now() - start == pytest.approx(elapsed_ms * 1000, rel=0.2)


def test_monotonic_time_is_never_scaled() -> None:
    """Timers for I/O count real seconds, whatever the wall clock does."""
    for clock in (SystemClock(), ScaledClock(NOON, 0, 86_400)):
        before = time.monotonic()
        assert before <= clock.monotonic() <= time.monotonic()


def test_until_counts_real_seconds() -> None:
    """What is a minute away in scaled time is a second away at sixty times the speed; what has passed is not away."""
    clock = ScaledClock(NOON, time.time_ns() // 1_000_000, 60)
    assert clock.until(clock.now() + 60_000) == pytest.approx(1, abs=0.1)
    assert clock.until(clock.now() - 60_000) == 0
    system = SystemClock()
    assert system.until(system.now() + 60_000) == pytest.approx(60, abs=0.1)
    assert ManualClock(now_ms=1000).until(3000) == 2


def test_the_machines_time_is_in_milliseconds() -> None:
    """System time is what the machine says, to the millisecond."""
    before = time.time()
    assert before * 1000 - 1 <= SystemClock().now() <= time.time() * 1000


def test_a_manual_clock_moves_only_when_told() -> None:
    """Passing time moves both clocks; a step, as from a time server, moves wall time alone."""
    clock: Clock = (manual := ManualClock(now_ms=NOON))
    assert (clock.now(), clock.monotonic()) == (NOON, 0)
    manual.advance(1500)
    assert (clock.now(), clock.monotonic()) == (NOON + 1500, 1.5)
    manual.step(-3000)
    assert (clock.now(), clock.monotonic()) == (NOON - 1500, 1.5)


def test_no_clock_named_is_the_machines() -> None:
    """Outside a demo there is no --clock, and time is the machine's own."""
    assert isinstance(parse_clock(""), SystemClock)
    assert parse_clock("1,2,3.5") == ScaledClock(1, 2, 3.5)


@pytest.mark.parametrize("text", ["1", "1,2", "1,2,3,4", "a,2,3", "1,2,x", "1,2,0", "1,2,-1", "1,2,nan", "1,2,inf"])
def test_a_clock_that_cannot_be_meant_is_refused(text: str) -> None:
    """A speed that is not over 0, or anything that is not three numbers, names the option and the form."""
    with pytest.raises(ConfigurationError, match="ORIGIN_MS,STARTED_MS,SPEED") as caught:
        parse_clock(text)
    assert caught.value.where == "--clock"
    assert caught.value.fix
