"""Drivers that hang, block, flood, raise, babble or leak: each is marked once, recovers, and holds nobody else up."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from edge_agent import admission, driver_guard
from edge_agent.driver_guard import DriverBlocked, DriverGuard, Sizes, Suspension
from tests.edge_agent.harness import Bench, bind, frame
from tests.edge_agent.sabotage import Sabotaged, say
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverGuard]:
    monkeypatch.setattr(driver_guard, "LONGEST_CALL_S", 0.05)
    made = DriverGuard()
    made.begin()
    yield made
    made.end()


@pytest.fixture
def bench(tmp_path: Path, guard: DriverGuard) -> Iterator[Bench]:
    devices = (bind("bad", ("temperature",), driver=Sabotaged()), bind("air", ("carbon_dioxide",)))
    made = Bench(tmp_path, devices=devices)
    made.core.admission.guard = guard
    yield made
    made.stop()


@pytest.mark.parametrize("deed", ["sleep", "loop"])
def test_a_call_that_does_not_end_is_broken_off(bench: Bench, deed: str, caplog: pytest.LogCaptureFixture) -> None:
    """The frame is refused, the device is left alone for a while, others go on; said once, and once when it is well."""
    caplog.set_level(logging.INFO)
    started = time.monotonic()
    for _ in range(5):
        bench.arrive("bad", say(deed))
        bench.arrive("air", frame(["carbon_dioxide", 700]))
    bench.settle()
    assert time.monotonic() - started < 3, "it was called again and again"
    balance = bench.audit()
    assert balance.devices["air"]["admitted"] == 5
    assert balance.rejected == {"driver_fault": 1, "driver_suspended": 4}
    assert bench.core.admission.suspended == 1
    bench.pass_time(2 * Suspension.FIRST_MS)
    bench.arrive("bad", say("fine"))
    bench.settle()
    assert bench.core.admission.suspended == 0
    assert bench.audit().devices["bad"]["admitted"] == 1
    said = [record.getMessage() for record in caplog.records if "device bad" in record.getMessage()]
    assert len(said) == 2
    assert "blocks on device bad" in said[0]
    assert "again" in said[1]


def test_what_the_agent_does_about_it_is_not_broken_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though writing it down may take longer than a driver's call may."""
    written = []

    def write(*said: object) -> None:
        time.sleep(5 * driver_guard.LONGEST_CALL_S)
        written.append(said)

    monkeypatch.setattr(admission._log, "error", write)
    bench.arrive("bad", say("sleep"))
    bench.settle()
    assert len(written) == 1
    assert bench.audit().rejected == {"driver_fault": 1}


def test_the_rest_grows_with_each_time(bench: Bench) -> None:
    """A driver that always blocks costs less and less: a second, two, four, at most a minute."""
    suspension = Suspension()
    waits = [suspension.extend(0) for _ in range(9)]
    assert waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]
    assert suspension.holds(59_999)
    assert not suspension.holds(60_000)
    assert not suspension.holds(-1), "the clock was set back"
    suspension.lift()
    assert not suspension.holds(1)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("million", "too_many"), ("endless", "driver_fault"), ("raise", "driver_fault"), ("nonsense", "driver_fault")],
)
def test_what_no_device_gives_is_refused(bench: Bench, deed: str, reason: str) -> None:
    """A flood, an endless answer, an exception, nonsense: one rejected frame, and the next is taken."""
    bench.arrive("bad", say(deed), say("fine"))
    bench.settle()
    balance = bench.audit()
    assert balance.rejected == {reason: 1}
    assert balance.devices["bad"]["admitted"] == 1
    assert balance.faults == []


def test_a_signal_after_the_call_hurts_nobody(guard: DriverGuard) -> None:
    """What comes late finds no driver at work, and does nothing."""
    guard.calling = False
    guard._interrupt(0, None)
    guard.calling = True
    with pytest.raises(DriverBlocked):
        guard._interrupt(0, None)
    guard.calling = False


def test_a_leak_is_seen() -> None:
    """What a driver keeps is measured, and nothing that it shares with all."""
    driver = Sabotaged("leak")
    before = Sizes().of("sabotaged", driver)
    driver.decode(say(""))
    assert Sizes().of("sabotaged", driver) - before >= 8 << 20
    assert before < 100_000


def test_what_drivers_share_counts_once() -> None:
    """A table by which ten thousand devices are read is looked through once, and a leak behind it is still seen."""
    table = [bytes(1000) for _ in range(1000)]
    first, second, leaking = (Sabotaged("leak") for _ in range(3))
    for driver in (first, second, leaking):
        driver.table = table  # type: ignore[attr-defined] # as a driver has it
    leaking.decode(say(""))
    sizes = Sizes()
    assert sizes.of("sabotaged", first) > 1_000_000
    assert sizes.of("sabotaged", second) < 100_000
    assert sizes.of("sabotaged", leaking) >= 8 << 20
    assert sizes.of("other", second) > 1_000_000


async def test_a_driver_that_leaks_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the agent has grown, whoever keeps too much is replaced, and nobody else."""
    monkeypatch.setattr(driver_guard, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(driver_guard, "GROWTH", -1)
    bad, good = (bind(name, ("temperature",), driver=Sabotaged("leak")) for name in ("bad", "good"))
    kept = good.driver
    for each in (bad, good):
        each.renew = lambda: Sabotaged("leak")
    for _ in range(3):
        bad.driver.decode(say(""))
    task = asyncio.create_task(driver_guard.look_after({"bad": bad, "good": good}, 0))
    await until(lambda: not bad.driver.kept)  # type: ignore[attr-defined] # it is ours
    task.cancel()
    assert good.driver is kept
    assert sum("made anew" in record.getMessage() for record in caplog.records) == 1
