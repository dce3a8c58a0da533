"""QoS 2 through the whole agent, killed with SIGKILL between the commit and its answer: one reading, once."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.store.audit import audit
from tests.broker.device import Device, connect, publish
from tests.broker.test_exactly_once import pubcomp, pubrec, pubrel
from tests.edge_agent.harness import MONDAY_9
from tests.edge_agent.running import LISTENER, SENSOR, configure
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Processes, Spawned

FIRST: Final = b'{"co2": 612}'
SECOND: Final = b'{"co2": 700}'


class Machine:
    """An agent on a box that is switched off and on."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._port = free_port()
        self._path = configure(folder, LISTENER.replace("port = 0", f"port = {self._port}"), SENSOR)
        self._clock = f"{MONDAY_9},{time.time_ns() // 1_000_000},600"
        self._processes = processes
        self.hits = folder / "hits"
        self.hits.touch()

    def start(self, boundary: str) -> Spawned:
        """It dies when the boundary is reached; a boundary that never is lets it live."""
        return self._processes.start(
            *(sys.executable, "-m", "tests.system.crashing_agent", "--config", str(self._path)),
            *("--clock", self._clock, "--boundary", boundary, "--hits", str(self.hits)),
        )

    async def device(self, *packets: bytes, present: bool) -> Device:
        """Connect to the session that lasts, and send these."""
        await until(lambda: _is_listening(self._port), 20, "the agent listens")
        device = await Device.dial(self._port)
        await device.send(connect("d", clean=False, username="bridge") + b"".join(packets))
        assert await device.read_packet() == (0x20, bytes((present, 0)))
        return device

    def balance(self) -> dict[str, int]:
        """What the store says, with nobody at work on it."""
        loaded = load(self._path)
        tables = loaded.tables
        found = audit(loaded.folder / "state", tables.school_hours, bind(loaded).bindings)
        assert found.closes, found.faults
        return {stage: found.balance[stage] for stage in ("received", "admitted", "duplicate")}


def _is_listening(port: int) -> bool:
    with socket.socket() as plug:
        return plug.connect_ex(("127.0.0.1", port)) == 0


def reading(payload: bytes, *, dup: bool = False) -> bytes:
    return publish("zigbee2mqtt/co2", payload, packet_id=7, qos=2, dup=dup)


async def test_a_kill_between_commit_and_pubrec_doubles_nothing(tmp_path: Path, processes: Processes) -> None:
    """The copy with DUP is answered PUBREC from what is on disk; the packet id then serves another message."""
    machine = Machine(tmp_path, processes)
    agent = machine.start("before:acknowledge")
    device = await machine.device(reading(FIRST), present=False)
    assert await device.reader.read() == b"", "PUBREC before the end"
    assert agent.wait() == -9
    await device.close()
    assert machine.balance() == {"received": 1, "admitted": 1, "duplicate": 0}

    agent = machine.start("after:mark")
    device = await machine.device(reading(FIRST, dup=True), pubrel(7), present=True)
    assert await device.reader.readexactly(8) == pubrec(7) + pubcomp(7)
    await device.close()
    agent.kill()
    assert machine.balance() == {"received": 1, "admitted": 1, "duplicate": 0}

    agent = machine.start("after:mark")
    device = await machine.device(pubrel(7), reading(SECOND), present=True)
    assert await device.reader.readexactly(8) == pubcomp(7) + pubrec(7)
    await device.close()
    agent.kill()
    assert machine.balance() == {"received": 2, "admitted": 2, "duplicate": 0}
