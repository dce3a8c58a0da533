"""The agent is killed with SIGKILL at any moment, under load: from its broker, or from devices at its own listener."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from tests.broker.device import DISCONNECT, Device, connect, subscribe
from tests.edge_agent.running import LISTENER, SUBSCRIBER
from tests.edge_agent.servers import serving
from tests.faults.box import Box, devices, settle
from tests.faults.campaign import Campaign, Outcome
from tests.faults.hostile_centre import HostileCentre
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.support.mosquitto import Mosquitto
from tests.support.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SEED: Final = 20_251_013
LONGEST_LIFE_S: Final = 0.6
"""From the agent's readiness to the kill, drawn at random below this."""
_DEVICES: Final = 10
_SUBACK: Final = 0x90
_UNDER_WAY: Final = 1900
"""With 0 Mosquitto heeds no Receive Maximum: up to 15,000 were under way at once, and the agent remembers 2,000."""


async def subscribe_for_agent(port: int) -> None:
    """Make the agent's session before the first message: what comes before it is nobody's."""
    device = await Device.dial(port)
    await device.send(connect("bansui-edge-1", clean=False) + subscribe("zigbee2mqtt/#"))
    while (await device.read_packet())[0] != _SUBACK:
        pass
    await device.send(DISCONNECT)
    await device.close()


async def _kill(count: int, folder: Path, intake: str, senders: Sequence[Sender], processes: Processes) -> Outcome:
    rng = random.Random(SEED)
    centre = HostileCentre()
    under_way = 0
    async with serving(centre.answer) as port:
        tables = devices([sender.name for sender in senders])
        box = Box(folder / "agent", intake, tables, centre=f"http://127.0.0.1:{port}", processes=processes)
        async with sending(senders, box.clock) as load:
            for _ in range(count):
                await box.switch_on()
                await asyncio.sleep(rng.uniform(0, LONGEST_LIFE_S))
                under_way += load.under_way
                box.switch_off()
            await box.switch_on()
            load.stop()
            late = await settle(load, centre.model)
        unbalanced = await box.leave()
    found = box.account(load, centre.model)
    seen = (
        f"{load.acknowledged * READINGS_A_MESSAGE:,} readings acknowledged, {under_way:,} messages without an answer "
        f"at the kill, {found.copies:,} readings known as copies"
    )
    broken = [sentence for sentence in (late, unbalanced, *found.faults) if sentence]
    return Outcome(count, found.lost, found.doubled, seen, tuple(broken))


def _names(count: int) -> list[str]:
    return [f"sensor-{number}" for number in range(count)]


def by_broker(count: int, folder: Path) -> Outcome:
    """Devices publish to Mosquitto, which keeps for the agent what it has not acknowledged."""
    broker = Mosquitto(folder / "mosquitto", f"allow_anonymous true\nmax_inflight_messages {_UNDER_WAY}\n")
    processes = Processes(folder / "processes")
    try:
        asyncio.run(subscribe_for_agent(broker.port))
        senders = [Sender(broker.port, name) for name in _names(_DEVICES)]
        return asyncio.run(_kill(count, folder, SUBSCRIBER.format(port=broker.port), senders, processes))
    finally:
        processes.end()
        broker.stop()


def by_listener(count: int, folder: Path) -> Outcome:
    """Devices publish to the agent itself, half of them at QoS 2."""
    port, processes = free_port(), Processes(folder / "processes")
    senders = [Sender(port, name, qos=1 + number % 2) for number, name in enumerate(_names(_DEVICES))]
    try:
        return asyncio.run(_kill(count, folder, LISTENER.replace("port = 0", f"port = {port}"), senders, processes))
    finally:
        processes.end()


CAMPAIGNS: Final = [
    Campaign(
        name="kill-agent",
        fault="SIGKILL of the agent under load from its broker (Mosquitto, a lasting session, QoS 1)",
        short=10,
        long=100,
        run=by_broker,
        needs="mosquitto",
    ),
    Campaign(
        name="kill-listener",
        fault="SIGKILL of the agent under load from devices at its own listener, QoS 1 and QoS 2",
        short=10,
        long=100,
        run=by_listener,
    ),
]
