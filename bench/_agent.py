"""The agent as a measurement runs it: its configuration, its process, and what its page says of it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench._load import PASSWORD, USER, payload, topic
from bench._processes import Usage, ended, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DISTRICT: Final = "bench"
SCHOOL: Final = "bench"
TOKEN: Final = "a-token-for-measurements"
NOWHERE: Final = "http://127.0.0.1:9"
_CONFIG: Final = """
[agent]
id = "edge-1"
district = "{district}"
school = "{school}"
timezone = "Asia/Shanghai"
[health]
port = 0
[uplink]
url = "{centre}"
token_file = "token"
{uplink}
[timetable]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
hours = [["00:00", "24:00"]]
[windows]
trust_clock = true
{windows}
{tables}
[[room]]
code = "a-1"
building = "a"
placement = "{placement}"
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
{cadence}mqtt = {{ topic = "{topic}" }}
"""
_METRIC: Final = re.compile(r"^(bansui_agent_\w+)(\{.*?\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How an agent is configured; ports that are 0 leave the table out."""

    devices: int
    listener: int = 0
    subscriber: int = 0
    centre: str = NOWHERE
    uplink: str = ""
    """Further keys of the uplink's table."""
    windows: str = ""
    """Further keys of the windows' table."""
    tables: str = ""
    """Further tables."""
    placement: str = "indoor"
    cadence: str = ""
    """Further keys of each device."""
    options: tuple[str, ...] = field(default=())
    """Of the command."""

    def write(self, folder: Path) -> Path:
        """Write the configuration and its secrets; returns its path."""
        tables = self.tables
        if self.listener:
            tables += _LISTENER.format(port=self.listener, user=USER)
        if self.subscriber:
            tables += _SUBSCRIBER.format(port=self.subscriber)
        head = _CONFIG.format(
            district=DISTRICT,
            school=SCHOOL,
            centre=self.centre,
            uplink=self.uplink,
            windows=self.windows,
            tables=tables,
            placement=self.placement,
        )
        devices = (
            _DEVICE.format(number=number, topic=topic(number), cadence=self.cadence) for number in range(self.devices)
        )
        (folder / "token").write_text(TOKEN)
        (folder / "password").write_text(PASSWORD)
        path = folder / "agent.toml"
        path.write_text(head + "".join(devices))
        return path


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent."""

    pid: int
    page: str

    def metrics(self) -> Mapping[str, float]:
        """Every figure of its page, by name with labels as they stand there."""
        with urllib.request.urlopen(f"{self.page}/metrics") as answer:
            text = answer.read().decode()
        return {name + labels: float(value) for name, labels, value in _METRIC.findall(text)}

    def health(self) -> Mapping[str, int]:
        """Its report."""
        with urllib.request.urlopen(f"{self.page}/healthz") as answer:
            return dict(json.load(answer))

    def received(self) -> int:
        """Readings that are on disk: the core counts them when the commit is done."""
        return int(self.metrics()['bansui_agent_readings_total{stage="received"}'])

    def usage(self) -> Usage:
        """What its process has used."""
        return Usage.of(self.pid)

    def wait_until_subscribed(self, port: int) -> None:
        """Publish one message until it arrives."""
        message = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic(0), "-m", payload(0, 1).decode()]

        def arrives() -> bool:
            subprocess.run(message, check=True)
            return self.received() > 0

        until(arrives, "the agent has subscribed")
        time.sleep(0.5)  # what was published while waiting is on disk too


@contextlib.contextmanager
def agent(folder: Path, setup: Setup) -> Iterator[Agent]:
    """An agent, ready, with its configuration and its store in `folder`."""
    with spawned(setup.write(folder), *setup.options) as process:
        assert process.stdout is not None
        found = re.search(r"http://[^/]+", process.stdout.readline().decode())
        if found is None:
            raise SystemExit("the agent did not start")
        yield Agent(process.pid, found.group())


@contextlib.contextmanager
def spawned(config: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent's process, just begun; what it says of its readiness stands on its stdout."""
    command = [sys.executable, "-m", "bansui", "agent", "run", "--config", str(config), *options]
    with (config.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    with ended(process):
        yield process
