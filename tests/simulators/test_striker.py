from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from typing import TYPE_CHECKING, Any

import pytest

from simulators.faults import FaultMalformed, parse
from simulators.pace import Pace
from simulators.relay import Relay
from simulators.striker import EXPIRED, Striker
from simulators.truth import Truth
from telemetry import ScaledClock, SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.scenarios import Scenario
    from tests.support.processes import Processes


def striker(school_day: Scenario, *, relay: Relay | None = None, pid_file: Path | None = None) -> Striker:
    clock = ScaledClock(school_day.moment("10:00"), SystemClock().now(), 1000.0)
    return Striker(Pace(clock), Truth(school_day, 1, clock), relay, pid_file)


def faults(striker: Striker) -> list[dict[str, Any]]:
    found = striker.truth.document()["faults"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("uplink-outage@10:00+1h", "--relay-to"),
        ("certificate-expiry@10:00+1h", "--relay-to"),
        ("agent-kill@11:20", "--agent-pid-file"),
    ],
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


@pytest.mark.parametrize("at", ["10:01", "09:50"], ids=["in time", "late"])
async def test_outage_cuts_the_relay_and_mends_it(school_day: Scenario, at: str) -> None:
    """For as long as it is written, also where a busy machine begins it late."""
    relay = Relay(("127.0.0.1", 9))
    await relay.open()
    try:
        cutting = asyncio.create_task(
            (hit := striker(school_day, relay=relay)).strike(parse(f"uplink-outage@{at}+10m", school_day))
        )
        states = {relay._server is not None}
        while not cutting.done():
            states.add(relay._server is not None)
            await asyncio.sleep(0.01)
        await cutting
        assert states == {True, False}
        assert relay._server is not None
        (fault,) = faults(hit)
        assert fault["at_ms"] >= max(school_day.moment("10:00"), school_day.moment(at))
        assert fault["until_ms"] - fault["at_ms"] == 10 * 60_000
    finally:
        await relay.close()


async def test_an_expired_certificate_is_refused_as_such_and_gone_afterwards(school_day: Scenario) -> None:
    """The client trusts the issuer, so that the date is all it can object to."""
    relay = Relay(("127.0.0.1", 9))
    await relay.open()
    context = ssl.create_default_context(cafile=EXPIRED)
    try:
        fault = parse("certificate-expiry@10:01+30m", school_day)
        striking = asyncio.create_task((hit := striker(school_day, relay=relay)).strike(fault))
        reasons = set()
        while not striking.done():
            try:
                await asyncio.open_connection("127.0.0.1", relay.port, ssl=context, server_hostname="localhost")
            except ssl.SSLCertVerificationError as error:
                reasons.add(error.verify_message)
            except OSError:
                await asyncio.sleep(0.01)
        await striking
        assert reasons == {"certificate has expired"}
        assert faults(hit)[0]["attacks"].startswith("nothing is told to a centre whose certificate")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asyncio.open_connection("127.0.0.1", relay.port, ssl=context, server_hostname="localhost")
    finally:
        await relay.close()
