"""An agent in a process of its own, on a box that is switched off and on, and a centre for it in this process."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
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
        self._path = configure(folder, *tables, centre=centre)
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
        found = audit(loaded.folder / "state", tables.timetable.compile(tables.zone), bind(loaded).bindings)
        return account(found, load, centre)


async def settle(load: Load, centre: ModelCentre) -> str:
    """Wait until every device has every answer and the centre every event; what does not come."""
    try:
        await until(lambda: not load.unacknowledged, LONGEST_SETTLING_S, "every message is answered")
        await until(lambda: load.stamps <= told(centre), LONGEST_SETTLING_S, "every event is at the centre")
    except AssertionError as late:
        return str(late)
    return ""


def account(found: Audit, load: Load, centre: ModelCentre) -> Account:
    """What became of everything sent, by the agent's balance and what the centre was told."""
    known = told(centre)
    lost, unknown = load.stamps - known, known - load.stamps
    too_many = rejected = 0
    for sender in load.senders:
        admitted = found.devices.get(sender.name, {}).get("admitted", 0)
        rejected += found.devices.get(sender.name, {}).get("rejected", 0)
        gone = sum(name == sender.name for name, _ in lost)
        too_many += max(0, admitted - (len(sender.stamps) - gone) * READINGS_A_MESSAGE)
    faults = [*found.faults, *centre.changed, *([f"{rejected} of their readings rejected"] if rejected else [])]
    return Account(len(lost), len(unknown) + len(centre.doubled) + too_many, found.balance["duplicate"], tuple(faults))


def told(centre: ModelCentre) -> set[tuple[str, int]]:
    """Every change of a smoke detector that the centre knows of: its device and its second."""
    return {(_tag(series, "device"), start_ms) for series, start_ms in centre.stored if series.startswith("smoke,")}


def _tag(series: str, name: str) -> str:
    return dict(tag.split("=") for tag in series.split(",")[1:])[name]
