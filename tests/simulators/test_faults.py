from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from simulators.faults import Fault, FaultMalformed, Striker, parse
from simulators.pace import Pace
from simulators.relay import Relay
from simulators.truth import Truth
from telemetry import ScaledClock, SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.scenarios import Scenario
    from tests.support.processes import Processes


def test_outage_is_read_in_local_time(school_day: Scenario) -> None:
    at_ms = school_day.moment("10:00")
    assert parse("uplink-outage@10:00+1h", school_day) == Fault("uplink-outage", at_ms, at_ms + 3_600_000)


@pytest.mark.parametrize(("length", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("1h0m5s", 3605)])
def test_lengths_are_hours_minutes_and_seconds(school_day: Scenario, length: str, seconds: int) -> None:
    fault = parse(f"uplink-outage@10:00+{length}", school_day)
    assert fault.until_ms - fault.at_ms == seconds * 1000


def test_kill_has_a_moment_and_no_length(school_day: Scenario) -> None:
    at_ms = school_day.moment("11:20")
    assert parse("agent-kill@11:20", school_day) == Fault("agent-kill", at_ms, at_ms)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not a fault"),
        ("uplink-outage", "is not a fault"),
        ("uplink-outage@10", "is not a fault"),
        ("uplink-outage@24:00+1h", "is not a fault"),
        ("power-cut@10:00", "no fault is called 'power-cut'"),
        ("uplink-outage@10:00", "needs a length"),
        ("agent-kill@10:00+1h", "has no length"),
        ("uplink-outage@10:00+soon", "'soon' is not a duration"),
        ("uplink-outage@10:00+0h", "'0h' is not a duration"),
        ("uplink-outage@03:00+1h", "does not lie within the day"),
        ("uplink-outage@17:00+1h", "does not lie within the day"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_way_out(school_day: Scenario, text: str, what: str) -> None:
    with pytest.raises(FaultMalformed) as caught:
        parse(text, school_day)
    assert what in caught.value.what
    assert caught.value.fix


def striker(school_day: Scenario, *, relay: Relay | None = None, pid_file: Path | None = None) -> Striker:
    clock = ScaledClock(school_day.moment("10:00"), SystemClock().now(), 1000.0)
    return Striker(Pace(clock), Truth("x", 1, clock), relay, pid_file)


def faults(striker: Striker) -> list[dict[str, Any]]:
    found = striker.truth.document()["faults"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("text", "fix"), [("uplink-outage@10:00+1h", "--relay-to"), ("agent-kill@11:20", "--agent-pid-file")]
)
def test_fault_without_a_victim_is_refused_before_the_day(school_day: Scenario, text: str, fix: str) -> None:
    with pytest.raises(FaultMalformed) as caught:
        striker(school_day).check([parse(text, school_day)])
    assert fix in caught.value.fix


async def test_kill_kills_the_process_in_the_file(school_day: Scenario, processes: Processes, tmp_path: Path) -> None:
    victim = processes.start(sys.executable, "-c", "import time; time.sleep(600)")
    pid_file = tmp_path / "agent.pid"
    pid_file.write_text(f"{victim.pid}\n")
    hit = striker(school_day, pid_file=pid_file)
    await hit.strike(parse("agent-kill@10:01", school_day))
    assert await asyncio.to_thread(victim.wait) == -signal.SIGKILL
    (fault,) = faults(hit)
    assert fault["name"] == "agent-kill"
    assert school_day.moment("10:01") <= fault["at_ms"] == fault["until_ms"]


@pytest.mark.parametrize("content", [None, "", "0", "-1", "one", "999999999999999999999"])
async def test_kill_that_finds_nobody_says_so_and_is_not_recorded(
    school_day: Scenario, tmp_path: Path, content: str | None
) -> None:
    pid_file = tmp_path / "agent.pid"
    if content is not None:
        pid_file.write_text(content)
    missed = striker(school_day, pid_file=pid_file)
    with pytest.raises(FaultMalformed, match="no agent to kill"):
        await missed.strike(parse("agent-kill@10:01", school_day))
    assert faults(missed) == []


async def test_outage_cuts_the_relay_and_mends_it(school_day: Scenario) -> None:
    relay = Relay(("127.0.0.1", 9))
    await relay.open()
    try:
        cutting = asyncio.create_task(
            (hit := striker(school_day, relay=relay)).strike(parse("uplink-outage@10:01+10m", school_day))
        )
        states = {relay._server is not None}
        while not cutting.done():
            states.add(relay._server is not None)
            await asyncio.sleep(0.01)
        await cutting
        assert states == {True, False}
        assert relay._server is not None
        (fault,) = faults(hit)
        assert fault["until_ms"] - fault["at_ms"] > 9 * 60_000
    finally:
        await relay.close()
