"""Devices, wires and a broker that break while a real agent listens: what is admitted is what was sent, and no more."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from edge_agent.agent import Agent
from edge_agent.config_file import load as load_configuration
from edge_agent.counts import CountKey
from simulators.faults import parse
from simulators.scenarios import load
from simulators.school import Run, School
from telemetry import ScaledClock
from tests.support.waiting import until
from tests.system.test_mixed_school import SPEED, configuration

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = (
    "duplicate-storm@07:50+10m",
    "broker-restart@08:05+3m",
    "reorder@07:50+25m:air-b-102",
    "field-renamed@08:00:motion-b-103",
    "half-frame@08:00+10m:plug-b-101",
    "half-frame@08:00+10m:pm-b-103",
    "baud-mismatch@08:15+10m:pm-b-103",
    "clock-step@08:06+15m:air-b-102",
    "unplug@08:12+5m:vr-1",
    "battery-death@08:00+10m:vr-2",
)


async def test_an_agent_counts_once_what_broken_devices_sent_and_refuses_what_is_no_frame(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    scenario = load("mixed-school").model_copy(update={"ends": "08:30"})
    clock = ScaledClock(scenario.start_ms, int(time.time() * 1000) + 1000, SPEED)
    faults = [parse(text, scenario) for text in FAULTS]
    run = Run(
        scenario=scenario,
        seed=7,
        clock=clock,
        broker=("127.0.0.1", unused_tcp_port),
        truth_file=tmp_path / "truth.json",
        faults=faults,
    )
    school, stop = School(run), asyncio.Event()
    agent: asyncio.Task[None] | None = None
    try:
        wiring: dict[str, Any] = await school.open()
        running = Agent(load_configuration(configuration(tmp_path, wiring, unused_tcp_port)), clock)
        agent = asyncio.create_task(running.run(stop))
        outcome = await school.live()
        assert outcome.is_complete, outcome
        truth = json.loads((tmp_path / "truth.json").read_text())
        devices: dict[str, dict[str, Any]] = truth["devices"]
        assert {fault["name"] for fault in truth["faults"]} == {fault.name for fault in faults}
        counts = running.core.state.counts

        def admitted(name: str) -> int:
            return counts.get(CountKey("admitted", name), 0)

        def is_all_there() -> bool:
            """What was confirmed is there once; of what a device forgot, or a line said once, some may be."""
            return all(
                admitted(name) == device["readings_confirmed"]
                if device["guarantee"] == "at_least_once" and not device["frames_forgotten"]
                else 0 < admitted(name) <= device["readings_sent"]
                for name, device in devices.items()
            )

        await until(is_all_there, 30, what="admitted once what was sent")
        stages = Counter[str]()
        for key, number in counts.items():
            stages[key.stage] += number
        assert stages["duplicate"] > 0
        assert stages["received"] == stages["admitted"] + stages["rejected"] + stages["duplicate"]
        for device in ("plug-b-101", "pm-b-103"):
            assert sum(number for key, number in counts.items() if key[:2] == ("rejected", device)) > 0, device
        assert sum(number for key, number in counts.items() if key[:2] == ("dropped", "motion-b-103")) > 0
        assert stages["restamped"] > 5, stages["restamped"]
        silent_ms = next(fault.until_ms for fault in faults if fault.name == "battery-death")
        sent = [window for window in truth["windows"] if window["device"] == "vr-2"]
        assert max(window["start_ms"] for window in sent) < silent_ms
    finally:
        stop.set()
        if agent is not None:
            await agent
        await school.close()
