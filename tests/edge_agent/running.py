"""A whole agent in this process: its real configuration, store, intakes and uplink, on loopback and fast time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, cast

from bansui.free_port import free_port
from edge_agent.agent import Agent, Seams
from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.store.audit import Audit, audit
from telemetry import ScaledClock
from tests.edge_agent.harness import MONDAY_9

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_agent.store import Store
    from edge_agent.transactions import Transaction, Written
    from telemetry import Clock

SPEED: Final = 600.0
"""A minute passes in a tenth of a second."""
_HEAD: Final = """
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
interval_s = 0.2
retry_s = 0.1
[timetable]
hours = [["08:00", "18:00"]]
[store]
group_commit_ms = 10
[[room]]
code = "a-301"
building = "a"
"""
LISTENER: Final = """
[listener]
host = "127.0.0.1"
port = 0
[[listener.client]]
id = "bridge"
password_file = "password"
publish = ["zigbee2mqtt/#"]
"""
SUBSCRIBER: Final = """
[subscriber]
host = "127.0.0.1"
port = {port}
client_id = "bansui-edge-1"
topics = ["zigbee2mqtt/#"]
"""
SENSOR: Final = """
[[device]]
id = "co2"
room = "a-301"
role = "room_sensor"
driver = "zigbee2mqtt"
mqtt = { topic = "zigbee2mqtt/co2" }
"""


def configure(folder: Path, *tables: str, centre: str = "") -> Path:
    """Write a configuration with these tables, and its secrets."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text("a-token")
    (folder / "password").write_text("secret")
    path = folder / "agent.toml"
    path.write_text(_HEAD.format(centre=centre or f"http://127.0.0.1:{free_port()}") + "".join(tables))
    return path


def fast_clock(speed: float = SPEED) -> ScaledClock:
    """A Monday from nine on, at this speed from now on."""
    return ScaledClock(MONDAY_9, time.time_ns() // 1_000_000, speed)


class Running:
    """An agent at work."""

    def __init__(self, path: Path, seams: Seams | None, speed: float, clock: Clock | None) -> None:
        self._loaded = load(path)
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self.clock = clock or fast_clock(speed)
        self.agent = Agent(self._loaded, self.clock, seams)
        self.task = asyncio.create_task(self.agent.run(self._stop, self._ready.set))

    async def ready(self) -> None:
        """Wait until it is; raises what kept it from it."""
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            await self.task

    async def stop(self) -> None:
        """A planned stop."""
        self._stop.set()
        await self.task

    @property
    def balance(self) -> dict[str, int]:
        """The balance in memory."""
        return self.agent.core.report().as_dict()

    def audit(self) -> Audit:
        """The balance on disk."""
        tables = self._loaded.tables
        bindings = bind(self._loaded).bindings
        return audit(self._loaded.folder / "state", tables.school_hours, bindings)


@contextlib.asynccontextmanager
async def running(
    path: Path, seams: Seams | None = None, *, speed: float = SPEED, clock: Clock | None = None
) -> AsyncIterator[Running]:
    """Run an agent while the block runs; at its end it is gone, whatever happened."""
    agent = Running(path, seams, speed, clock)
    try:
        await agent.ready()
        yield agent
    finally:
        agent.task.cancel()
        await asyncio.gather(agent.task, return_exceptions=True)


class WatchedStore:
    """The real store; `before` is called, on the store's thread, before each commit."""

    def __init__(self, store: Store, before: Callable[[Transaction], None]) -> None:
        self._store = store
        self._before = before

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, transaction: Transaction) -> Written:
        """As the real one, if `before` lets it."""
        self._before(transaction)
        return self._store.commit(transaction)


def watched(before: Callable[[Transaction], None]) -> Seams:
    """Seams of an agent whose store calls `before`."""
    return Seams(wrap_store=lambda store: cast("Store", WatchedStore(store, before)))
