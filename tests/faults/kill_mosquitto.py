"""The broker between devices and agent is killed with SIGKILL under load, and loses its memory now and then.

What Mosquitto acknowledged and never delivered is not the agent's to save: it is counted as seen. What was delivered,
by the wire's own record, the agent has exactly once.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import random
from collections import Counter
from typing import TYPE_CHECKING, Final
from unittest import mock

from edge_agent.intake import availability
from tests.broker.device import DISCONNECT, Device, connect, publish
from tests.edge_agent.running import SUBSCRIBER, configure, running
from tests.edge_agent.servers import serving
from tests.faults.box import LONGEST_SETTLING_S, devices
from tests.faults.campaign import Campaign, Outcome
from tests.faults.kill_agent import subscribe_for_agent
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.faults.tap import Tap
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.store.audit import Audit
    from tests.edge_agent.running import Running
    from tests.faults.sender import Load
    from tests.faults.tap import Delivery

SEED: Final = 2011
LONGEST_LIFE_S: Final = 1.5
_DEVICES: Final = 10
_FORGETS_EVERY: Final = 3
_KEPT: Final = "kept"
"""A device whose only message is retained, with no time of its own."""
_PERSISTENCE: Final = f"""allow_anonymous true
user {getpass.getuser()}
persistence true
persistence_location {{folder}}/
autosave_on_changes true
autosave_interval 100
"""


class Expected:
    """What the agent owes for what was delivered to it: of each device so many readings, so many copies known."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        self.readings: Counter[str] = Counter()
        self.copies = self.retained = self.told_anew = 0
        by_packet_id: dict[int, tuple[str, bytes]] = {}
        self.known: set[tuple[str, bytes]] = set()
        for delivery in deliveries:
            said = delivery.topic, delivery.payload
            if delivery.is_retained:
                self.retained += 1
            elif delivery.is_copy and by_packet_id.get(delivery.packet_id) == said:
                self.copies += 1
                continue
            else:
                name = delivery.topic.rpartition("/")[2]
                self.readings[name] += 1 if name == _KEPT else READINGS_A_MESSAGE
                self.told_anew += said in self.known and name != _KEPT
                self.known.add(said)
            by_packet_id[delivery.packet_id] = said

    @property
    def messages(self) -> int:
        """How many of the devices' messages came at all."""
        return sum(not topic.endswith(_KEPT) for topic, _ in self.known)

    def compare(self, found: Audit) -> tuple[int, int, list[str]]:
        """Lost and doubled readings, and what else is not so."""
        lost = doubled = 0
        for name, number in self.readings.items():
            admitted = found.devices.get(name, {}).get("admitted", 0)
            lost += max(0, number - admitted)
            doubled += max(0, admitted - number)
        others = {
            "retained messages refused": (self.retained, found.rejected.get("retained", 0)),
            "refused for another reason": (0, sum(found.rejected.values()) - found.rejected.get("retained", 0)),
            "readings known as copies": (self.copies * READINGS_A_MESSAGE, found.balance["duplicate"]),
        }
        wrong = [f"{what}: {got} and not {wanted}" for what, (wanted, got) in others.items() if wanted != got]
        return lost, doubled, found.faults + wrong


async def keep_a_message(port: int) -> None:
    """A retained message at the broker."""
    device = await Device.dial(port)
    message = publish("zigbee2mqtt/" + _KEPT, b'{"temperature": 7}', packet_id=1, retain=True)
    await device.send(connect("keeper") + message)
    assert (await device.read_packet())[0] == 0x20
    await device.pubacks(1)
    await device.send(DISCONNECT)
    await device.close()


async def _live(count: int, folder: Path, broker: Mosquitto) -> Outcome:
    rng = random.Random(SEED)
    await subscribe_for_agent(broker.port)
    await keep_a_message(broker.port)
    tap, senders = Tap(broker.port), [Sender(broker.port, f"sensor-{number}") for number in range(_DEVICES)]
    forgot = 0
    async with serving(tap.answer) as port:
        tables = devices([*(sender.name for sender in senders), _KEPT])
        path = configure(folder / "agent", SUBSCRIBER.format(port=port), tables)
        async with running(path) as agent, sending(senders, agent.clock) as load:
            for number in range(count):
                await until(lambda: _is_subscribed(agent), LONGEST_SETTLING_S, "the agent has subscribed")
                await asyncio.sleep(rng.uniform(0, LONGEST_LIFE_S))
                await asyncio.to_thread(broker.stop)
                if number % _FORGETS_EVERY == 1:
                    (folder / "memory" / "mosquitto.db").unlink(missing_ok=True)
                    forgot += 1
                await asyncio.to_thread(broker.start)
                await keep_a_message(broker.port)
            await _settle(agent, load, tap)
            await agent.stop()
        found = agent.audit()
    expected = Expected(tap.deliveries)
    lost, doubled, broken = expected.compare(found)
    seen = (
        f"{len(tap.deliveries):,} messages delivered over {tap.connections} connections, {expected.copies:,} of them "
        f"known as copies, {expected.retained} retained and not taken for fresh; the broker forgot its sessions "
        f"{forgot} times; by Mosquitto itself {load.acknowledged - expected.messages:,} of {load.acknowledged:,} "
        f"acknowledged messages lost, {expected.told_anew:,} sent anew"
    )
    return Outcome(count, lost, doubled, seen, tuple(broken))


def _is_subscribed(agent: Running) -> bool:
    return agent.agent._subscriber is not None and agent.agent._subscriber.is_subscribed


async def _settle(agent: Running, load: Load, tap: Tap) -> None:
    """Until the last message of each device, behind which there is none, has come through."""
    await until(lambda: _is_subscribed(agent), LONGEST_SETTLING_S, "the agent has subscribed")
    load.stop()
    await until(lambda: not load.unacknowledged, LONGEST_SETTLING_S, "the broker has every message")
    for sender in load.senders:
        sender.measure(agent.clock.now())
    last = {str(max(sender.stamps)).encode() for sender in load.senders}
    await until(lambda: _came(tap, last), LONGEST_SETTLING_S, "the broker has delivered all it has")
    owed = sum(Expected(tap.deliveries).readings.values())
    with contextlib.suppress(AssertionError):  # what is not there then is lost
        await until(lambda: agent.balance["admitted"] >= owed and agent.agent.core.is_idle, LONGEST_SETTLING_S)


def _came(tap: Tap, stamps: set[bytes]) -> bool:
    return all(any(stamp in delivery.payload for delivery in tap.deliveries[-1000:]) for stamp in stamps)


def run(count: int, folder: Path) -> Outcome:
    """Kill the broker so many times; every third time its sessions are gone as well."""
    (folder / "memory").mkdir()
    broker = Mosquitto(folder / "mosquitto", _PERSISTENCE.format(folder=folder / "memory"))
    try:
        with (
            mock.patch.object(availability, "FIRST_WAIT_S", 0.05),
            mock.patch.object(availability, "LONGEST_WAIT_S", 0.2),
        ):
            return asyncio.run(_live(count, folder, broker))
    finally:
        broker.stop()


CAMPAIGNS: Final = [
    Campaign(
        name="kill-mosquitto",
        fault="SIGKILL of Mosquitto under load between devices and agent, every third time its sessions lost as well",
        short=6,
        long=100,
        run=run,
        needs="mosquitto",
    )
]
