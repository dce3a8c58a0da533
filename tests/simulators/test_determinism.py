from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from simulators.devices import Devices
from simulators.pace import Pace
from simulators.truth import DeviceTruth, Truth
from telemetry import ScaledClock, SystemClock

if TYPE_CHECKING:
    from simulators.scenarios import Scenario

_DAY_S = 9.5 * 3600


async def live(scenario: Scenario, seed: int, *, real_s: float) -> tuple[list[tuple[str, int, str, bytes]], object]:
    """A day without a network: everything that would have been said, and the windows' truth."""
    clock = ScaledClock(scenario.start_ms, SystemClock().now(), _DAY_S / real_s)
    pace, truth, said = Pace(clock), Truth(scenario, seed, clock), []
    for model in scenario.device:
        truth.devices[model.id] = DeviceTruth("", "mqtt", model.cadence_s * 1000, stamps=True)
    for emission in Devices(scenario, seed).day():
        await pace.until(emission.event_ms)
        assert clock.now() >= emission.event_ms
        truth.emitted(emission)
        said.append((emission.device, emission.event_ms, emission.topic, emission.payload))
    return said, truth.document()["windows"]


async def test_same_seed_gives_the_same_bytes_and_the_same_truth_at_any_speed(school_day: Scenario) -> None:
    """The first day takes its time; the second is over before it has begun, and skips nothing."""
    patient = await live(school_day, 11, real_s=2.5)
    hurried = await live(school_day, 11, real_s=0.001)
    assert len(patient[0]) == 35 * 570
    assert patient == hurried


async def test_another_seed_gives_another_day(hour: Scenario) -> None:
    one, other = await live(hour, 1, real_s=0.001), await live(hour, 2, real_s=0.001)
    assert one[0] != other[0]


async def test_days_frames_come_in_order_of_time(hour: Scenario) -> None:
    times = [emission.event_ms for emission in Devices(hour, 1).day()]
    assert times == sorted(times)


async def test_waiting_lets_other_tasks_run_even_when_nothing_is_waited_for() -> None:
    pace = Pace(ScaledClock(0, 0, 1.0))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(1000):
        await pace.until(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns > 5
