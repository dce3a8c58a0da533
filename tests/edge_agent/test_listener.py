"""The listener in a whole agent: a device that dies is an event and no reading, and limits are kept and shown."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from edge_agent.bindings import bind, prepare
from edge_agent.config_file import load
from edge_agent.health import AgentCollector
from edge_agent.store.audit import audit
from telemetry.table_file import ConfigurationMistakes
from tests.edge_agent.running import LISTENER, SENSOR, configure, running
from tests.support.certificates import Authority
from tests.support.programs import MOSQUITTO_CLIENTS
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge_agent.running import Running
    from tests.support.processes import Processes

WILL: Final = ("--will-topic", "zigbee2mqtt/co2", "--will-payload", '{"co2": 4000}', "--will-qos", "1", "--will-retain")


async def device(agent: Running, *options: str) -> asyncio.subprocess.Process:
    """mosquitto_sub, which stays connected as a device does that waits for commands."""
    program = MOSQUITTO_CLIENTS.find()
    assert program is not None
    login = ("-h", "127.0.0.1", "-p", str(agent.agent.listener_port), "-u", "bridge", "-P", "secret", "-i", "bridge")
    return await asyncio.create_subprocess_exec(
        program, *login, "-t", "homeassistant/status", *options, stdout=asyncio.subprocess.PIPE
    )


async def connected(agent: Running, *options: str) -> asyncio.subprocess.Process:
    process = await device(agent, *options)
    assert process.stdout is not None
    async with asyncio.timeout(10):
        assert await process.stdout.readline() == b"online\n"
    return process


async def killed(agent: Running, process: asyncio.subprocess.Process, *, departed: int) -> None:
    """End it with kill -9, and wait until so many devices have gone."""
    process.kill()
    await process.wait()
    await until(lambda: departures(agent) == departed)


def departures(agent: Running) -> float:
    """The metric, as a scraper reads it."""
    registry = CollectorRegistry()
    registry.register(AgentCollector(agent.agent.health._health))
    assert b"bansui_agent_departures_total" in generate_latest(registry)
    found = registry.get_sample_value("bansui_agent_departures_total")
    assert found is not None
    return found


@pytest.mark.mosquitto
async def test_a_running_agent_keeps_to_its_limits(tmp_path: Path) -> None:
    """From the file to the listener to the metric: the second connection of a login that may have one."""
    limited = LISTENER.replace("[[listener", "[listener.limits]\nmax_connections_per_client = 1\n[[listener", 1)
    async with running(configure(tmp_path, limited, SENSOR)) as agent:
        first = await connected(agent)
        second = await device(agent, "-i", "another")
        async with asyncio.timeout(10):
            assert await second.wait() != 0
        registry = CollectorRegistry()
        registry.register(AgentCollector(agent.agent.health._health))
        labels = {"reason": "too_many_connections_of_client"}
        assert registry.get_sample_value("bansui_agent_listener_refused_total", labels) == 1
        assert registry.get_sample_value("bansui_agent_listener_connections") == 1
        first.terminate()
        await first.wait()


@pytest.mark.mosquitto
async def test_wills_that_are_made_up_fill_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A client with another will each time is one that is gone: said once, remembered once."""
    caplog.set_level(logging.INFO, "edge_agent.intake.availability")
    async with running(configure(tmp_path, LISTENER, SENSOR)) as agent:
        for number in range(5):
            client = ("-i", f"made-up-{number}", "--will-topic", f"zigbee2mqtt/{number}", "--will-payload", "x")
            await killed(agent, await connected(agent, *client), departed=number + 1)
        assert agent.agent._unavailable() == 1
    assert [record.getMessage() for record in caplog.records] == [
        "device bridge is unavailable: it went without a goodbye"
    ]


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", ["311", "5"])
async def test_a_killed_device_is_gone_and_its_will_is_no_reading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    """kill -9: counted, shown and said once; back with its next connection; the count outlives the agent."""
    caplog.set_level(logging.INFO, "edge_agent.intake.availability")
    path = configure(tmp_path, LISTENER, SENSOR)
    async with running(path) as agent:
        process = await connected(agent, "-V", version, *WILL)
        assert (departures(agent), agent.agent._unavailable()) == (0, 0)
        await killed(agent, process, departed=1)
        assert agent.agent._unavailable() == 1
        again = await connected(agent, "-V", version)
        assert agent.agent._unavailable() == 0
        again.terminate()
        await again.wait()
        await until(lambda: agent.agent._listener and agent.agent._listener.counters["connections"] == 0)
        assert [record.getMessage() for record in caplog.records] == [
            "device co2 is unavailable: it went without a goodbye",
            "device co2 is back",
        ]
        assert agent.balance["received"] == 0
        await agent.stop()
    assert agent.audit().faults == []
    async with running(path) as agent:
        assert departures(agent) == 1
        assert agent.balance["received"] == 0


TLS: Final = """
[listener]
host = ["127.0.0.1", "::1"]
[listener.tls]
port = 0
certificate_file = "tls/server.pem"
key_file = "tls/server.key"
required = true
"""


@pytest.mark.mosquitto
async def test_a_running_agent_takes_readings_by_tls_alone(tmp_path: Path, processes: Processes) -> None:
    """`bansui agent run`, as a school has it: over IPv4 and IPv6 by TLS, and no plain port."""
    authority = Authority(tmp_path / "tls")
    authority.server()
    table = TLS + LISTENER.partition("port = 0\n")[2]
    config = configure(tmp_path, table, SENSOR)
    agent = processes.bansui("agent", "run", "--config", str(config), "--json")
    agent.wait_for_output("ready")
    told = json.loads(agent.stdout)
    assert told["listener_port"] is None
    program = MOSQUITTO_CLIENTS.find()
    assert program is not None
    for host in ("127.0.0.1", "::1"):
        args = ("-h", host, "-p", str(told["listener_tls_port"]), "--cafile", str(authority.file), "-q", "1")
        publisher = await asyncio.create_subprocess_exec(
            program.removesuffix("sub") + "pub",
            *args,
            *("-u", "bridge", "-P", "secret", "-t", "zigbee2mqtt/co2", "-m", '{"co2": 700}'),
        )
        async with asyncio.timeout(10):
            assert await publisher.wait() == 0
    agent.terminate()
    tables = load(config).tables
    found = audit(tmp_path / "state", tables.school_hours, bind(load(config)).bindings)
    assert (found.balance["received"], found.balance["admitted"], found.faults) == (2, 2, [])


def test_a_certificate_that_cannot_be_used_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    files = authority.server()
    config = configure(tmp_path, TLS + LISTENER.partition("port = 0\n")[2], SENSOR)
    prepare(load(config))
    files.key.write_text("not a key")
    with pytest.raises(ConfigurationMistakes) as caught:
        prepare(load(config))
    [mistake] = caught.value.mistakes
    assert mistake.key == "listener.tls"
    assert config.read_text().splitlines()[mistake.line - 1] == "[listener.tls]"
