"""Drivers of a vendor's that misbehave, each in its own way, in one real agent: a good device beside loses nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent import lookout
from edge_agent.driver_guard import LONGEST_CALL_S
from tests.broker.device import Device, connect, publish
from tests.edge_agent.running import LISTENER, configure
from tests.support.processes import run_bansui
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Processes, Spawned

_MANIFEST: Final = """
sample = ""
[driver]
id = "{id}"
version = "1.0.0"
contract = 1
transport = "{transport}"
name_zh = "破坏性驱动"
name_en = "Sabotaged"
[families]
{id} = ""
[[field]]
key = "t"
quantity = "temperature"
"""
_CODE: Final = """
import ctypes, itertools, time
from device_drivers.contract import Decoded, Layout, Measurement, Row

KEPT = []


def create(settings):
    return Driver()


class Driver:
    def decode(self, frame):
        {deed}
        return Decoded.of([Measurement("temperature", 20.0)])
"""
DEEDS: Final = {
    "hangs": "time.sleep(3600)",
    "loops": "while True: pass",
    "raises": "1 / 0",
    "floods": 'return Decoded(tuple(Row(Layout.of((("temperature", ""),)), (1.0,)) for _ in range(100_000)))',
    "endless": 'return Decoded(Row(Layout.of((("temperature", ""),)), (1.0,)) for _ in itertools.count())',
    "leaks": "KEPT.append(bytes(1 << 20))",
    "babbles": "return 7",
    "swallows": """
        while True:
            try:
                time.sleep(3600)
            except Exception:
                pass""",
}
"""What a driver does with every message, in Python."""
STUCK: Final = "sum(itertools.repeat(1, 1 << 62))"
"""In C, and without ever letting go of the interpreter."""
_DEVICE: Final = """
[[device]]
id = "{device}"
room = "a-301"
role = "room_sensor"
driver = "{driver}"
cadence_s = 1
mqtt = {{ topic = "{device}" }}
"""
_PROGRAM: Final = """
[[device]]
id = "program"
room = "a-301"
role = "room_sensor"
driver = "exec"
quantities = ["temperature"]
exec = {{ command = ["./program"], memory_mib = 32 }}
"""


def install(site: Path, deeds: dict[str, str]) -> dict[str, str]:
    """The package, as pip would lay it out; returns an environment in which it is installed."""
    package, information = site / "sabotaged", site / "sabotaged-1.0.dist-info"
    information.mkdir(parents=True)
    for name, deed in {**deeds, "good": "pass"}.items():
        folder = package / name
        folder.mkdir(parents=True)
        (folder / "driver.toml").write_text(_MANIFEST.format(id=name, transport="mqtt"))
        (folder / "driver.py").write_text(_CODE.replace("{deed}", deed))
        (folder / "__init__.py").touch()
    (package / "__init__.py").touch()
    points = [f"{name} = sabotaged.{name}" for name in (*deeds, "good")]
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sabotaged\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("\n".join(["[bansui.drivers]", *points, ""]))
    return {"PYTHONPATH": f"{lookout.__file__.rpartition('/edge_agent/')[0]}:{site}"}


def prepare(folder: Path, deeds: dict[str, str], *more: str) -> Path:
    """An agent with a device of each deed and a good one."""
    devices = [_DEVICE.format(device=name, driver=name) for name in (*deeds, "good")]
    return configure(folder, LISTENER.replace("zigbee2mqtt/#", "#"), *devices, *more)


async def dial(port: int, client: str) -> Device:
    device = await Device.dial(port)
    await device.send(connect(client, username="bridge"))
    await device.read_packet()
    return device


def health(agent: Spawned) -> dict[str, int]:
    with urllib.request.urlopen(json.loads(agent.stdout)["health"], timeout=60) as answer:
        return dict(json.load(answer))


async def test_none_of_them_touches_another(tmp_path: Path, processes: Processes) -> None:
    """Every reading of the good device is acknowledged and admitted while eight drivers and a program misbehave."""
    environment = install(tmp_path / "site", DEEDS)
    config = prepare(tmp_path / "agent", DEEDS, _PROGRAM.format())
    program = tmp_path / "agent" / "program"
    program.write_text(f"#!{sys.executable}\nkept = []\nwhile True: kept.append(bytearray(1 << 20))\n")
    program.chmod(0o755)
    agent = processes.bansui("agent", "run", "--json", "--config", str(config), env=environment)
    await until(lambda: "ready" in agent.stdout, 60)
    port = json.loads(agent.stdout)["listener_port"]
    bad, good = await dial(port, "bad"), await dial(port, "good")
    sent, slowest = 0, 0.0
    for _ in range(3):
        for number, name in enumerate(DEEDS, 1):
            await bad.send(publish(name, b"1", packet_id=number))
        for _ in range(20):
            sent += 1
            began = time.monotonic()
            await good.send(publish("good", b"1", packet_id=sent))
            await good.pubacks(1)
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.02)
    await bad.pubacks(3 * len(DEEDS))
    await until(lambda: health(agent)["devices_unavailable"] == 5, 60, "four left alone, and the program")
    for device in (bad, good):
        await device.close()
    agent.terminate(60)
    found = audit(config, environment)
    assert found["devices"]["good"]["admitted"] == sent == 60
    for name in ("hangs", "loops", "swallows", "raises", "floods", "endless", "babbles"):
        assert found["devices"][name].get("admitted", 0) == 0, name
        assert f"device {name}" in agent.stderr or name == "floods"
    assert found["devices"]["leaks"]["admitted"] == 3
    assert "device program is unavailable: its program" in agent.stderr
    assert "Traceback" not in agent.stderr
    assert slowest < len(DEEDS) * 2 * LONGEST_CALL_S, "each is broken off in two looks at most, and then left alone"


def audit(config: Path, environment: dict[str, str]) -> dict[str, dict[str, dict[str, int]]]:
    done = run_bansui("audit", "--config", str(config), "--json", env=environment)
    assert done.returncode == 0, done.stdout
    return dict(json.loads(done.stdout))


_QUICK: Final = """
import sys
from edge_agent import lookout
from edge_agent.driver_guard import LONGEST_CALL_S
lookout.LONGEST_STUCK_S = 2.0
from bansui.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("deed", [STUCK, "ctypes.PyDLL(None).sleep(3600)"], ids=["computes", "waits"])
async def test_what_cannot_be_broken_off_is_named_and_left_alone(
    tmp_path: Path, processes: Processes, deed: str
) -> None:
    """The agent ends by itself, and started again, as systemd does, leaves that driver alone: nothing else is lost."""
    environment = install(tmp_path / "site", {"stuck": deed})
    config = prepare(tmp_path / "agent", {"stuck": deed})
    command = (sys.executable, "-c", _QUICK, "agent", "run", "--json", "--config", str(config))
    agent = processes.start(*command, env=environment)
    await until(lambda: "ready" in agent.stdout, 60)
    port = json.loads(agent.stdout)["listener_port"]
    good, bad = await dial(port, "good"), await dial(port, "bad")
    await good.send(publish("good", b"1", packet_id=1))
    await good.pubacks(1)
    await bad.send(publish("stuck", b"1", packet_id=1))
    await good.send(publish("good", b"1", packet_id=2))
    assert await asyncio.to_thread(agent.wait, 30) == 1
    for device in (good, bad):
        await device.close()

    again = processes.start(*command, env=environment)
    await until(lambda: "ready" in again.stdout, 60)
    port = json.loads(again.stdout)["listener_port"]
    good, bad = await dial(port, "good"), await dial(port, "bad")
    await good.send(publish("good", b"1", packet_id=2, dup=True))
    await bad.send(publish("stuck", b"1", packet_id=1, dup=True))
    for device in (good, bad):
        await device.pubacks(1)
        await device.close()
    assert "driver stuck held the agent up for 2 s on device stuck" in again.stderr
    assert health(again)["devices_unavailable"] == 1
    again.terminate(60)
    assert not (tmp_path / "agent/state" / lookout.FILE_NAME).exists()
    found = audit(config, environment)
    assert found["devices"]["good"]["admitted"] == 2
    assert found["devices"]["stuck"]["rejected"] == 1
