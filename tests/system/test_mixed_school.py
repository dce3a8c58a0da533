"""Every format at once: what an agent admits is what each device of a mixed school says it sent."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.agent import Agent
from edge_agent.config_file import load as load_configuration
from edge_agent.counts import CountKey
from simulators.scenarios import load
from simulators.school import Run, School
from telemetry import ScaledClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

SPEED = 300.0
CONFIGURATION = """
[agent]
id = "edge-1"
district = "{district}"
school = "{school}"
timezone = "{timezone}"
[health]
port = 0
[uplink]
url = "http://127.0.0.1:9"
token_file = "token"
[timetable]
hours = [["08:00", "11:45"]]
[listener]
host = "127.0.0.1"
port = {port}
"""


def configuration(folder: Path, wiring: dict[str, Any], port: int) -> Path:
    """What an operator would write for a school that is wired so."""
    text = CONFIGURATION.format(**wiring, port=port)
    (folder / "token").write_text("token")
    for client in wiring["clients"]:
        (folder / client["id"]).write_text(client["password"])
        text += "[[listener.client]]\n" + table(id=client["id"], password_file=client["id"], publish=client["publish"])
    for room in wiring["rooms"]:
        text += "[[room]]\n" + table(**room)
    for device in wiring["devices"]:
        address = dict(device[device["transport"]])
        password = address.pop("password", "")
        if password:
            address["password_file"] = f"{device['id']}-password"
            (folder / address["password_file"]).write_text(password)
        names = ("id", "room", "role", "driver", "model", "cadence_s")
        text += "[[device]]\n" + table(**{name: device[name] for name in names})
        text += f"{device['transport']} = {inline(address)}\noptions = {inline(device.get('options', {}))}\n"
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def table(**values: Any) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def inline(values: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"


@pytest.mark.parametrize("name", ["mixed-school", "other-formats"])
async def test_an_agent_admits_all_that_the_devices_of_every_driver_sent(
    tmp_path: Path, unused_tcp_port: int, name: str
) -> None:
    scenario = load(name).model_copy(update={"ends": "08:15"})
    clock = ScaledClock(scenario.start_ms, int(time.time() * 1000) + 1000, SPEED)
    truth_file = tmp_path / "truth.json"
    school = School(
        Run(scenario=scenario, seed=7, clock=clock, broker=("127.0.0.1", unused_tcp_port), truth_file=truth_file)
    )
    stop = asyncio.Event()
    agent: asyncio.Task[None] | None = None
    try:
        wiring: dict[str, Any] = await school.open()
        running = Agent(load_configuration(configuration(tmp_path, wiring, unused_tcp_port)), clock)
        agent = asyncio.create_task(running.run(stop))
        outcome = await school.live()
        assert outcome.is_complete
        truth = json.loads(truth_file.read_text())["devices"]
        counts = running.core.state.counts

        def admitted(name: str) -> int:
            return counts.get(CountKey("admitted", name), 0)

        def is_all_there() -> bool:
            """Of a line that repeats nothing, as much as was there to be heard: a busy machine may miss a frame."""
            return all(
                admitted(name) == device["readings_confirmed"]
                if device["guarantee"] == "at_least_once"
                else 0 < admitted(name) <= device["readings_confirmed"]
                for name, device in truth.items()
            )

        await until(is_all_there, 30, what="admitted as many readings as were sent")
        assert all(device["readings_sent"] for device in truth.values())
    finally:
        stop.set()
        if agent is not None:
            await agent
        await school.close()
