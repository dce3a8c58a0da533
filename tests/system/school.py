"""A small real school for system tests: a centre, an agent and devices, each a process or a thread of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bansui.free_port import free_port
from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.store.audit import Audit, audit
from telemetry import ScaledClock, decode_all
from tests.support.processes import BANSUI
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry import Summary
    from tests.support.processes import Processes, Spawned

SPEED: Final = 600.0
TOKEN: Final = "a-token-for-tests-alone"
_MONDAY_8: Final = 1_760_313_600_000  # 2025-10-13 08:00 in Shanghai
_AGENT: Final = """
[agent]
id = "edge-1"
district = "changning"
school = "cn-002"
timezone = "Asia/Shanghai"
[health]
port = 0
[uplink]
url = "{centre}"
token_file = "token"
interval_s = 0.3
report_s = 1
retry_s = 0.1
[listener]
host = "127.0.0.1"
port = {port}
[[listener.client]]
id = "zigbee"
password_file = "password"
publish = ["zigbee2mqtt/#"]
[timetable]
hours = [["08:00", "18:00"]]
[windows]
lateness_s = 1800
[store]
group_commit_ms = 20
checkpoint_s = 1
[[room]]
code = "a-301"
building = "a"
"""
_DEVICE: Final = """
[[device]]
id = "{device}"
room = "a-301"
role = "{role}"
driver = "zigbee2mqtt"
cadence_s = 60
mqtt = {{ topic = "zigbee2mqtt/{device}" }}
"""
_CENTRE: Final = """
[centre]
port = 0
state = "centre-state"
timezone = "Asia/Shanghai"
[centre.district]
code = "changning"
name_zh = "长宁区"
name_en = "Changning"
[[school]]
code = "cn-002"
name_zh = "第二小学"
name_en = "Second Primary"
[[agent]]
id = "edge-1"
school = "cn-002"
token_file = "token"
"""


class Devices:
    """Sensors behind one MQTT client that sends every message until it is acknowledged, as QoS 1 asks of it."""

    READINGS_A_MESSAGE: Final = 3

    def __init__(self, port: int, clock: ScaledClock, devices: list[str]) -> None:
        self._clock = clock
        self._devices = devices
        self._acknowledged = 0
        self.sent = 0
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it untyped
        properties.SessionExpiryInterval = 3600
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bridge", protocol=mqtt.MQTTv5)
        self._client.username_pw_set("zigbee", "secret")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._count_acknowledged
        self._client.connect_async("127.0.0.1", port, clean_start=False, properties=properties)
        self._client.loop_start()

    @property
    def unacknowledged(self) -> int:
        """Messages whose PUBACK has not come."""
        return self.sent - self._acknowledged

    @property
    def readings(self) -> int:
        """Readings in everything sent."""
        return self.sent * self.READINGS_A_MESSAGE

    def send(self) -> None:
        """One message of one device; every fourth time the smoke detector changes its mind."""
        device = self._devices[self.sent % len(self._devices)]
        smoke = self.sent // (2 * len(self._devices)) % 2 == 1
        message = {
            "temperature": 20 + self.sent % 100 / 100,
            "smoke": smoke,
            "linkquality": 100,
            "last_seen": self._clock.now(),
        }
        self._client.publish(f"zigbee2mqtt/{device}", json.dumps(message), qos=1)
        self.sent += 1

    def stop(self) -> None:
        """Hang up."""
        self._client.disconnect()
        self._client.loop_stop()

    def _count_acknowledged(self, *_: object) -> None:
        self._acknowledged += 1  # paho's thread alone writes it


class School:
    """One school in a folder: start its parts, kill its agent, and see whether everything is accounted for."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder = folder
        self._processes = processes
        self.clock = ScaledClock(_MONDAY_8, time.time_ns() // 1_000_000, SPEED)
        self.clock_option = self.clock.option
        self.config = folder / "agent.toml"
        self.hits = folder / "hits"
        (folder / "token").write_text(TOKEN)
        (folder / "password").write_text("secret")
        (folder / "centre.toml").write_text(_CENTRE)
        centre_toml = str(folder / "centre.toml")
        centre = processes.bansui("centre", "run", "--config", centre_toml, "--clock", self.clock_option)
        centre.wait_for_output("listening on ")
        self.centre_url = centre.stdout.partition("listening on ")[2].split()[0]
        self._port = free_port()
        devices = [f"sensor-{number}" for number in range(5)]
        tables = [_DEVICE.format(device=device, role="room_sensor") for device in devices]
        self.config.write_text(_AGENT.format(centre=self.centre_url, port=self._port) + "".join(tables))
        self.devices = Devices(self._port, self.clock, devices)

    def start_agent(self) -> Spawned:
        """An ordinary agent."""
        return self._start(*BANSUI, "agent", "run")

    def start_crashing_agent(self, boundary: str, nth: int) -> Spawned:
        """An agent that ends at a boundary."""
        boundary_options = ("--boundary", boundary, "--nth", str(nth), "--hits", str(self.hits))
        return self._start(sys.executable, "-m", "tests.system.crashing_agent", *boundary_options)

    def send_while(self, agent: Spawned, seconds: float) -> None:
        """Let the devices send, about 300 messages a second, while the agent lives, for at most so long."""
        deadline = time.monotonic() + seconds
        while agent.is_running() and time.monotonic() < deadline:
            for _ in range(3):
                self.devices.send()
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.wait(0.01)

    def settle(self, agent: Spawned) -> Audit:
        """Wait until everything sent is acknowledged to devices and by the centre; stop the agent and audit it."""
        wait_until(lambda: not self.devices.unacknowledged, timeout=30, what="every message acknowledged")
        wait_until(lambda: not self.audit().balance["open"], timeout=30, what="every window closed")
        wait_until(lambda: not self.audit().balance["waiting"], timeout=30, what="every summary at the centre")
        self.devices.stop()
        agent.terminate()
        return self.audit()

    def audit(self) -> Audit:
        """The agent's balance as it stands on disk."""
        loaded = load(self.config)
        tables = loaded.tables
        return audit(self.folder / "state", tables.school_hours, bind(loaded).bindings)

    def summaries(self) -> list[Summary]:
        """Everything the centre has."""
        query: dict[str, str | int] = {"school": "cn-002", "from": 0, "to": _MONDAY_8 + 86_400_000 * 30}
        response = httpx.get(f"{self.centre_url}/api/v1/export", params=query, trust_env=False)
        response.raise_for_status()
        return decode_all(response.content)

    def _start(self, *command: str) -> Spawned:
        return self._processes.start(*command, "--config", str(self.config), "--clock", self.clock_option)
