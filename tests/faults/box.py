"""An agent in a process of its own, on a box that is switched off and on, and a centre for it in this process."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import httpx

from edge_agent.bindings import bind
from edge_agent.config_file import load as load_configuration
from edge_agent.store.audit import audit
from telemetry import ScaledClock
from tests.edge_agent.harness import MONDAY_9
from tests.edge_agent.running import SPEED, configure
from tests.faults.sender import READINGS_A_MESSAGE
from tests.support.processes import BANSUI, run_bansui
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.store.audit import Audit
    from tests.faults.model_centre import ModelCentre
    from tests.faults.sender import Load
    from tests.faults.small_disk import SmallDisk
    from tests.support.processes import Processes, Spawned

LONGEST_START_S: Final = 60.0
LONGEST_SETTLING_S: Final = 60.0
_WINDOWS: Final = """
[windows]
clock_behind_s = 2592000
"""
"""A message may have to wait for minutes, which are days here, and is not to be told at another time for that."""
_DEVICE: Final = """
[[device]]
id = "{name}"
room = "a-301"
role = "room_sensor"
driver = "zigbee2mqtt"
mqtt = {{ topic = "zigbee2mqtt/{name}" }}
"""


def devices(names: list[str]) -> str:
    """Their tables."""
    return "".join(_DEVICE.format(name=name) for name in names)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the messages that devices have sent."""

    lost: int
    """Messages of which neither the agent nor the centre knows."""
    doubled: int
    """Messages that were told twice, and readings that were admitted once more than they were sent."""
    copies: int
    """Readings that came again and were known."""
    faults: tuple[str, ...]


class Box:
    """What outlives the agent: its folder, the time of day, the way to the centre."""

    def __init__(
        self, folder: Path, *tables: str, centre: str, processes: Processes, disk: SmallDisk | None = None
    ) -> None:
        self._disk = disk
        self._path = configure(folder, *tables, _WINDOWS, centre=centre)
        self._processes = processes
        self._agent: Spawned | None = None
        self.clock = ScaledClock(MONDAY_9, time.time_ns() // 1_000_000, SPEED)

    async def switch_on(self) -> None:
        """Start the agent as systemd would, and wait until it is ready."""
        clock = f"{self.clock.origin_ms},{self.clock.started_ms},{self.clock.speed}"
        prefix = self._disk.prefix if self._disk is not None else ()
        command = (*prefix, *BANSUI, "agent", "run", "--config", str(self._path), "--clock", clock)
        self._agent = self._processes.start(*command)
        await asyncio.to_thread(self._agent.wait_for_output, "agent ready", LONGEST_START_S)

    @property
    def is_on(self) -> bool:
        """Whether the agent runs."""
        return self._agent is not None and self._agent.is_running()

    async def is_on_with_what_room_there_is(self) -> bool:
        """Start it on a full disk: it is ready, or it says that there is no room and ends, to be started again."""
        try:
            await self.switch_on()
        except AssertionError as ended:
            if "there is no room left on the disk" not in str(ended):
                raise
        return self.is_on

    def switch_off(self) -> None:
        """SIGKILL: no clean-up."""
        assert self._agent is not None
        assert self._agent.is_running(), f"it had ended by itself:\n{self._agent.stderr}"
        self._agent.kill()

    async def health(self) -> dict[str, Any]:
        """What the agent's health page says."""
        assert self._agent is not None
        found = re.search(r"http://\S+", self._agent.stdout)
        assert found is not None
        async with httpx.AsyncClient(trust_env=False) as client:
            health: dict[str, Any] = (await client.get(found[0])).json()
            return health

    async def leave(self) -> str:
        """A planned stop, and `bansui audit`; what it says if the balance does not close."""
        assert self._agent is not None
        await asyncio.to_thread(self._agent.terminate, LONGEST_SETTLING_S)
        if self._disk is not None:
            self._disk.copy_out()
        audited = await asyncio.to_thread(run_bansui, "audit", "--config", str(self._path))
        return audited.stdout + audited.stderr if audited.returncode else ""

    def account(self, load: Load, centre: ModelCentre) -> Account:
        """Each message by its device and second, and each device's readings by their number."""
        loaded = load_configuration(self._path)
        tables = loaded.tables
        found = audit(loaded.folder / "state", tables.school_hours, bind(loaded).bindings)
        return account(found, load, centre)


async def settle(load: Load, centre: ModelCentre) -> str:
    """Wait until every device has every answer and the centre every event, for as long as more come; what does not."""
    told = Told(centre)
    try:
        await until(lambda: not load.unacknowledged, LONGEST_SETTLING_S, "every message is answered")
        while not load.stamps <= told.so_far():
            before = len(told.so_far())
            await until(lambda: len(told.so_far()) > before, LONGEST_SETTLING_S, "more events come to the centre")  # noqa: B023 - at once
    except AssertionError as late:
        return str(late)
    return ""


def account(found: Audit, load: Load, centre: ModelCentre) -> Account:
    """What became of everything sent, by the agent's balance and what the centre was told."""
    known = Told(centre).so_far()
    # While summaries wait, those that the centre does not know are not lost: the readings' numbers have to do.
    missing = set() if found.balance["waiting"] else load.stamps - known
    lost = doubled = rejected = 0
    for sender in load.senders:
        numbers = found.devices.get(sender.name, {})
        gone = sum(name == sender.name for name, _ in missing)
        surplus = numbers.get("admitted", 0) - (len(sender.stamps) - gone) * READINGS_A_MESSAGE
        lost += gone + max(0, -surplus) // READINGS_A_MESSAGE
        doubled += max(0, surplus)
        rejected += numbers.get("rejected", 0)
    doubled += len(known - load.stamps) + len(centre.doubled)
    faults = [*found.faults, *centre.changed, *([f"{rejected} of their readings rejected"] if rejected else [])]
    return Account(lost, doubled, found.balance["duplicate"], tuple(faults))


class Told:
    """Every change of a smoke detector that a centre knows of: its device and its second."""

    def __init__(self, centre: ModelCentre) -> None:
        self._stored = centre.stored
        self._seen = 0
        self._known: set[tuple[str, int]] = set()

    def so_far(self) -> set[tuple[str, int]]:
        """All of them; what was there the last time is not looked at again."""
        for series, start_ms in islice(self._stored, self._seen, None):
            if series.startswith("smoke,"):
                self._known.add((_tag(series, "device"), start_ms))
        self._seen = len(self._stored)
        return self._known


def _tag(series: str, name: str) -> str:
    return dict(tag.split("=") for tag in series.split(",")[1:])[name]
