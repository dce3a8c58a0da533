"""The agent's disk is filled by somebody else, under load; it may be killed meanwhile; then there is room again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from tests.edge_agent.running import LISTENER
from tests.edge_agent.servers import serving
from tests.faults.box import LONGEST_SETTLING_S, Box, devices, settle
from tests.faults.campaign import Campaign, Outcome
from tests.faults.hostile_centre import HostileCentre
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.faults.small_disk import SmallDisk
from tests.support.processes import Processes
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.sender import Load

SIZE: Final = "96m"
_NAMES: Final = [f"sensor-{number}" for number in range(10)]


async def _run(count: int, folder: Path, processes: Processes) -> Outcome:
    centre, port = HostileCentre(), free_port()
    senders = [Sender(port, name, qos=1 + number % 2) for number, name in enumerate(_NAMES)]
    disk = SmallDisk(folder / "agent" / "state", SIZE, processes)
    kills = waited = refused = 0
    async with serving(centre.answer) as centre_port:
        tables = LISTENER.replace("port = 0", f"port = {port}"), devices(_NAMES)
        address = f"http://127.0.0.1:{centre_port}"
        box = Box(folder / "agent", *tables, centre=address, processes=processes, disk=disk)
        async with sending(senders, box.clock) as load:
            await box.switch_on()
            for number in range(count):
                await _more(load)
                await _fill(box, disk)
                refused += load.unacknowledged
                if number % 2:
                    kills += 1
                    box.switch_off()
                    waited += not await box.is_on_with_what_room_there_is()
                disk.empty()
                if not box.is_on:
                    await box.switch_on()
                await _more(load)
            load.stop()
            late = await settle(load, centre.model)
        unbalanced = await box.leave()
    found = box.account(load, centre.model)
    seen = (
        f"{load.acknowledged * READINGS_A_MESSAGE:,} readings acknowledged, {refused:,} messages held back by full "
        f"disks, {kills:,} kills while full, {waited:,} starts that had to wait for room"
    )
    broken = [sentence for sentence in (late, unbalanced, *found.faults) if sentence]
    return Outcome(count, found.lost, found.doubled, seen, tuple(broken))


async def _more(load: Load) -> None:
    """Wait until devices have answers that they have not now."""
    before = load.acknowledged
    await until(lambda: load.acknowledged > before + len(_NAMES), LONGEST_SETTLING_S, "messages are acknowledged")


async def _fill(box: Box, disk: SmallDisk) -> None:
    """Take what room there is, until the agent has none to give up and says so."""
    async with asyncio.timeout(LONGEST_SETTLING_S):
        while not (await box.health())["buffer_is_full"]:
            disk.fill()


def run(count: int, folder: Path) -> Outcome:
    """Fill the disk so often."""
    processes = Processes(folder / "processes")
    try:
        return asyncio.run(_run(count, folder, processes))
    finally:
        processes.end()


CAMPAIGNS: Final = [
    Campaign(
        name="disk-full",
        fault="the agent's disk, a tmpfs, is filled under load and has room again; every other time SIGKILL while full",
        short=2,
        long=100,
        run=run,
        needs="small_disk",
    ),
]
