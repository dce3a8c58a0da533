"""The parts of a measurement: a Mosquitto, mosquitto_sub, an agent, publishers; each a process, all on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench._load import PASSWORD, TOPICS, USER, payload, topic

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS: Final = 16
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CONFIG: Final = """
[agent]
id = "edge-1"
district = "bench"
school = "bench"
timezone = "Asia/Shanghai"
[health]
port = 0
[uplink]
url = "http://127.0.0.1:9"
token_file = "token"
[timetable]
hours = [["00:00", "24:00"]]
[[room]]
code = "a-1"
building = "a"
"""
_LISTENER: Final = """
[listener]
host = "127.0.0.1"
port = {port}
[[listener.client]]
id = "{user}"
password_file = "password"
publish = ["zigbee2mqtt/#"]
"""
_SUBSCRIBER: Final = """
[subscriber]
host = "127.0.0.1"
port = {port}
client_id = "bansui"
topics = ["zigbee2mqtt/#"]
"""
_DEVICE: Final = """
[[device]]
id = "d-{number}"
room = "a-1"
role = "room_sensor"
driver = "zigbee2mqtt"
mqtt = {{ topic = "zigbee2mqtt/d-{number}" }}
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_s: float
    rss_mb: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Read it from /proc."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return cls((int(fields[11]) + int(fields[12])) / _TICKS, int(found.group(1)) / 1024 if found else 0.0)


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """A Mosquitto with unlimited queues; yields its port."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    port = free_port()
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    with _ended(subprocess.Popen([program, "-c", str(file)], stderr=subprocess.DEVNULL)):
        _until(lambda: _answers(port))
        yield port


@contextlib.contextmanager
def mosquitto_sub(folder: Path, port: int, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """mosquitto_sub at QoS 1, subscribed, which ends by itself after `count` messages."""
    subprocess.run(
        ["mosquitto_pub", "-p", str(port), "-q", "1", "-r", "-t", "zigbee2mqtt/-", "-m", "ready"], check=True
    )
    received = folder / "received"
    command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-t", "zigbee2mqtt/#", "-C", str(count + 1)]
    with received.open("wb") as file, _ended(subprocess.Popen(command, stdout=file)) as process:
        _until(lambda: received.stat().st_size)
        yield process


@contextlib.contextmanager
def agent(folder: Path, *, listener: int = 0, subscriber: int = 0) -> Iterator[Agent]:
    """An agent with `TOPICS` devices, its store in `folder`."""
    text = _CONFIG
    if listener:
        text += _LISTENER.format(port=listener, user=USER)
    if subscriber:
        text += _SUBSCRIBER.format(port=subscriber)
    text += "".join(_DEVICE.format(number=number) for number in range(TOPICS))
    (folder / "agent.toml").write_text(text)
    (folder / "token").write_text("none")
    (folder / "password").write_text(PASSWORD)
    command = [sys.executable, "-m", "bansui", "agent", "run", "--config", str(folder / "agent.toml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with _ended(process):
        assert process.stdout is not None
        found = re.search(r"http://[^/]+", process.stdout.readline())
        if found is None:
            raise SystemExit("the agent did not start")
        yield Agent(process.pid, found.group())


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent."""

    pid: int
    url: str

    def wait_until_subscribed(self, port: int) -> None:
        """Publish one message until it arrives."""
        message = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic(0), "-m", payload(0, 1).decode()]

        def arrives() -> bool:
            subprocess.run(message, check=True)
            return self.received() > 0

        _until(arrives)
        time.sleep(0.5)  # what was published while waiting is on disk too

    def received(self) -> int:
        """Readings that are on disk: the core counts them when the commit is done."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            found = re.search(rb'bansui_agent_readings_total\{stage="received"\} (\S+)', answer.read())
        return int(float(found.group(1))) if found else 0


class Publishers:
    """One process of publishers, encoded and connected, that waits for the word."""

    def __init__(self, port: int, messages: int, fields: int) -> None:
        numbers = (port, CONNECTIONS, messages, fields)
        command = [sys.executable, "-m", "bench._load", *map(str, numbers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise SystemExit("the publishers could not connect")

    def start(self) -> None:
        """Go."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def seconds(self) -> float:
        """Wait for the last PUBACK; how long it took."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        self._process.wait()
        return float(answer)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def _until(predicate: object, seconds: float = 10) -> None:
    assert callable(predicate)
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise SystemExit("a part of the measurement did not start")
        time.sleep(0.02)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process  # type: ignore[misc] # text or bytes, as it was started
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
