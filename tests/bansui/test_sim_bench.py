"""`bansui sim bench pub`, against a real Mosquitto."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from bansui import cli
from bansui.sim_bench import loads, measure
from broker.credentials import Client, Credentials
from broker.mosquitto import write_settings
from simulators.publishers import TooFewFiles, publish
from telemetry import EnvironmentFault
from tests.support.mosquitto import Mosquitto
from tests.support.processes import run_bansui
from tests.support.waiting import until, wait_until

if TYPE_CHECKING:
    from tests.support.processes import Processes


def bench(port: int, *args: str) -> dict[str, Any]:
    done = run_bansui("sim", "bench", "pub", "--broker", f"127.0.0.1:{port}", "--json", *args)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


@pytest.mark.mosquitto
def test_it_publishes_at_the_rate_from_as_many_connections_as_asked(mosquitto: Mosquitto) -> None:
    told = bench(mosquitto.port, "--devices", "300", "--rate", "500", "--seconds", "3")
    assert (told["devices"], told["connections"], told["lost_connections"]) == (300, 300, 0)
    assert told["sent"] == told["acknowledged"]
    assert 1200 < told["sent"] <= 1501
    latency = told["latency_ms"]
    assert 0 < latency["median"] <= latency["99 %"] <= latency["longest"]
    assert mosquitto.log.count("New client connected") >= 300


@pytest.mark.mosquitto
def test_processes_share_devices_and_connections(mosquitto: Mosquitto) -> None:
    told = bench(mosquitto.port, "--devices", "101", "--connections", "7", "--processes", "2", "--seconds", "1")
    assert (told["devices"], told["connections"], told["processes"]) == (101, 7, 2)
    assert len(told["memory_mb"]) == 2
    assert told["acknowledged"] == told["sent"] > 100


@pytest.mark.mosquitto
def test_it_logs_in_with_a_password_that_no_command_line_shows(tmp_path: Path, processes: Processes) -> None:
    credentials = Credentials([Client("bench", b"a-secret", ("zigbee2mqtt/#",))])
    settings = write_settings(credentials, tmp_path / "settings").read_text()
    broker = Mosquitto(tmp_path / "broker", f"user {getpass.getuser()}\n{settings}")
    (tmp_path / "password").write_text("a-secret\n")
    (tmp_path / "wrong").write_text("another\n")
    args = ("sim", "bench", "pub", "--broker", f"127.0.0.1:{broker.port}", "--devices", "5", "--rate", "50", "--json")
    login = ("--user", "bench", "--password-file")
    try:
        running = processes.bansui(*args, "--seconds", "2", *login, str(tmp_path / "password"))
        wait_until(lambda: broker.log.count("New client connected") >= 5, 30)
        child = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0]
        shown = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (running.pid, child)]
        assert running.wait() == 0
        assert all(shown)
        assert not any(b"a-secret" in line for line in shown)
        assert json.loads(running.stdout)["acknowledged"] > 0
        refused = run_bansui(*args, *login, str(tmp_path / "wrong"))
        assert refused.returncode == 3
        assert "0 of 5 connections were let in, then no more: CONNACK 5, this user may not connect" in refused.stderr
    finally:
        broker.stop()


def test_a_password_without_a_user_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sim", "bench", "pub", "--password-file", str(tmp_path / "password")]) == 2
    assert "--user" in capsys.readouterr().err


@pytest.mark.mosquitto
async def test_every_device_is_heard_by_a_subscriber(mosquitto: Mosquitto) -> None:
    topics: set[str] = set()

    async def watch() -> None:
        async for message in watcher.messages:
            topics.add(message.topic.value)
            assert isinstance(message.payload, bytes)
            assert {"co2", "temperature", "last_seen"} <= json.loads(message.payload).keys()

    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as watcher:
        await watcher.subscribe("zigbee2mqtt/#", 0)
        watching = asyncio.create_task(watch())
        await asyncio.to_thread(bench, mosquitto.port, "--devices", "40", "--rate", "80", "--seconds", "1.5")
        await until(lambda: len(topics) == 40)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.mosquitto
@pytest.mark.parametrize("rate", ["200", "0"])
async def test_a_broker_that_dies_on_the_way_ends_it_at_once(
    mosquitto: Mosquitto, processes: Processes, rate: str
) -> None:
    """Nobody is left who could say anything: an hour of waiting would measure nothing."""
    address = f"127.0.0.1:{mosquitto.port}"
    args = ("--broker", address, "--devices", "20", "--rate", rate, "--seconds", "3600")
    running = processes.bansui("sim", "bench", "pub", *args, env={**os.environ, "LC_ALL": "zh_CN.UTF-8"})
    await until(lambda: mosquitto.log.count("New client connected") >= 20, 30)
    await asyncio.to_thread(mosquitto.stop)
    assert await asyncio.to_thread(running.wait) == 1
    assert "20：全部断开，提前结束" in running.stdout
    assert "每秒已确认消息" in running.stdout


def test_a_broker_that_is_not_there_exits_3(unused_tcp_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sim", "bench", "pub", "--broker", f"127.0.0.1:{unused_tcp_port}", "--devices", "3"]) == 3
    assert "0 of 3 connections were let in, then no more: Connection refused" in capsys.readouterr().err


def test_more_connections_than_the_system_allows_files_are_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    load = loads(address=("127.0.0.1", 1), devices=5000, connections=5000, rate=0, seconds=1, processes=1)[0]
    with pytest.raises(TooFewFiles, match="5,064 open files, and the system allows 4,096") as caught:
        publish(load, lambda _: None)
    assert "--processes" in caught.value.fix


def test_what_a_process_could_not_do_is_said_with_its_own_way_out(
    capsys: pytest.CaptureFixture[str], unused_tcp_port: int
) -> None:
    args = ["sim", "bench", "pub", "--devices", "1000000", "--broker", f"127.0.0.1:{unused_tcp_port}"]
    assert cli.run(args) == 3
    said = capsys.readouterr().err
    assert "open files" in said
    assert "bansui explain too_few_files" in said


def test_a_process_that_ends_halfway_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = loads(address=("127.0.0.1", 1), devices=1, connections=1, rate=0, seconds=1, processes=1)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(EnvironmentFault, match="ended with 1") as caught:
        measure(parts, is_live=False)
    assert caught.value.where == "process 1 of 1"


def test_fewer_connections_than_processes_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sim", "bench", "pub", "--devices", "2", "--processes", "3"]) == 2
    assert "--processes" in capsys.readouterr().err
