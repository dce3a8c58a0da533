"""Two hundred devices connect at once, lose their connection at once, and send again what had no answer."""

from __future__ import annotations

import asyncio
from itertools import cycle
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from tests.edge_agent.running import LISTENER
from tests.edge_agent.servers import serving
from tests.faults.box import LONGEST_SETTLING_S, Box, devices, settle
from tests.faults.campaign import Campaign, Outcome
from tests.faults.hostile_centre import HostileCentre
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.support.processes import Processes
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

DEVICES: Final = 200
_EVERY_S: Final = 0.2
"""A message of each device: a thousand a second in all."""


async def _reconnect(rounds: int, folder: Path, processes: Processes) -> Outcome:
    centre, port = HostileCentre(), free_port()
    senders = [Sender(port, f"sensor-{number}", qos=1 + number % 2) for number in range(DEVICES)]
    tables = LISTENER.replace("port = 0", f"port = {port}"), devices([sender.name for sender in senders])
    under_way = 0
    async with serving(centre.answer) as at:
        box = Box(folder / "agent", *tables, centre=f"http://127.0.0.1:{at}", processes=processes)
        await box.switch_on()
        async with sending(senders, box.clock, _EVERY_S) as load:
            for number, vanishes in zip(range(rounds), cycle((False, True)), strict=False):
                await until(lambda: _are_heard(senders, number), LONGEST_SETTLING_S, "every device is back")  # noqa: B023 - at once
                for sender in senders:
                    sender.measure(box.clock.now())
                under_way += load.under_way
                for sender in senders:
                    sender.vanish() if vanishes else sender.drop()
            await until(lambda: _are_heard(senders, rounds), LONGEST_SETTLING_S, "every device is back")
            load.stop()
            late = await settle(load, centre.model)
        unbalanced = await box.leave()
    found = box.account(load, centre.model)
    again = sum(sender.sent_again for sender in senders)
    seen = (
        f"{load.acknowledged * READINGS_A_MESSAGE:,} readings acknowledged; {under_way:,} messages without an answer "
        f"when the connection went, {again:,} packets sent again, {found.copies:,} readings known as copies"
    )
    broken = [sentence for sentence in (late, unbalanced, *found.faults) if sentence]
    return Outcome(rounds * DEVICES, found.lost, found.doubled, seen, tuple(broken))


def _are_heard(senders: list[Sender], times: int) -> bool:
    """Whether each has come back so many times, and has had an answer each time."""
    return all(sender.connections > times and sender.was_heard for sender in senders)


def run(count: int, folder: Path) -> Outcome:
    """So many connections lost, two hundred at a time; every other time without a word to the agent."""
    processes = Processes(folder / "processes")
    try:
        return asyncio.run(_reconnect(-(-count // DEVICES), folder, processes))
    finally:
        processes.end()


CAMPAIGNS: Final = [
    Campaign(
        name="reconnecting",
        fault="200 devices at the listener lose their connections at once, or their power, and all come back at once",
        short=6 * DEVICES,
        long=100 * DEVICES,
        run=run,
    )
]
