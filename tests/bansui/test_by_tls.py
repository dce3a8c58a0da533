"""Commands that reach a broker by TLS: its certificate is believed by the CA that is named, and by no other."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from bansui.driver_scaffold import write
from tests.support.certificates import Authority
from tests.support.mosquitto import Mosquitto
from tests.support.processes import BANSUI, run_bansui
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes import Processes

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path / "mosquitto", authority.mosquitto())
    yield started
    started.stop()


def test_a_school_publishes_by_tls(broker: Mosquitto, authority: Authority) -> None:
    """Every message has its PUBACK: a day of many, over connections that hold more than a selector tells of."""
    done = run_bansui(
        *("sim", "run", "vr-lesson", "--broker", f"127.0.0.1:{broker.port}", "--seconds", "1"),
        *("--ca-file", str(authority.file)),
    )
    assert done.returncode == 0, done.stderr
    assert "everything sent over MQTT is confirmed" in done.stdout


def test_a_broker_is_measured_by_tls(broker: Mosquitto, authority: Authority, tmp_path: Path) -> None:
    """At as many as it takes, with what TLS says of its own between; a broker of another CA is not let know."""
    args = ("sim", "bench", "pub", "--broker", f"127.0.0.1:{broker.port}", "--devices", "9", "--seconds", "1", "--json")
    done = run_bansui(*args, "--processes", "2", "--ca-file", str(authority.file))
    told = json.loads(done.stdout)
    assert (done.returncode, told["lost_connections"]) == (0, 0)
    assert told["acknowledged"] == told["sent"] > 100
    assert told["latency_ms"]["longest"] < 5_000
    refused = run_bansui(*args, "--ca-file", str(Authority(tmp_path / "other").file))
    assert refused.returncode == 3
    assert "0 of 9 connections were let in, then no more: unable to get local issuer certificate" in refused.stderr
    unreadable = run_bansui(*args, "--ca-file", str(tmp_path / "none.pem"))
    assert unreadable.returncode == 2
    assert "none.pem" in unreadable.stderr


async def test_a_broker_of_another_ca_hears_nothing(broker: Mosquitto, processes: Processes, tmp_path: Path) -> None:
    """And is told of as one that devices do not reach, with the reason."""
    other = Authority(tmp_path / "other")
    run = processes.start(
        *(*BANSUI, "sim", "run", "vr-lesson", "--broker", f"127.0.0.1:{broker.port}", "--seconds", "60"),
        *("--ca-file", str(other.file), "--json"),
    )
    await until(lambda: '"event": "broker"' in run.stdout, 30)
    told = next(json.loads(line) for line in run.stdout.splitlines() if '"event": "broker"' in line)
    assert "certificate" in told["why"]
    assert "bansui/" not in broker.log
    await asyncio.to_thread(run.terminate, 20)


def test_a_capture_reads_a_broker_by_tls(
    broker: Mosquitto, authority: Authority, processes: Processes, tmp_path: Path
) -> None:
    """As the same driver's messages are read without it."""
    folder, out = write("acme_air", "mqtt-json", tmp_path), tmp_path / "captured.jsonl"
    published = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "--cafile", str(authority.file)]
    message = json.dumps({"co2": 812})
    processes.start(*published, "-t", "school/air", "-m", message, "--repeat", "100", "--repeat-delay", "0.2")
    done = run_bansui(
        *("driver", "capture", str(folder), "--out", str(out), "--broker", f"127.0.0.1:{broker.port}"),
        *("--topic", "school/#", "--frames", "1", "--seconds", "20", "--ca-file", str(authority.file)),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["expect"]["readings"] == {"carbon_dioxide": 812}


@pytest.mark.parametrize(
    "command",
    [
        ("sim", "run", "vr-lesson"),
        ("driver", "capture", "pjlink", "--out", "x", "--broker", "127.0.0.1:1", "--topic", "a"),
    ],
)
def test_a_ca_that_cannot_be_read_is_a_mistake_of_the_caller(command: tuple[str, ...]) -> None:
    """Exit 2, with the file, before anything is reached."""
    done = run_bansui(*command, "--ca-file", "nowhere.pem")
    assert done.returncode == 2
    assert "nowhere.pem" in done.stderr
    assert "no such file or directory" in done.stderr
