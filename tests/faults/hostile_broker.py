"""The school's broker turns hostile: garbage, too much, the wrong packet, silence, less than was asked for; and is well
again. Meanwhile other devices publish to the agent's own listener."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Final
from unittest import mock

from bansui.free_port import free_port
from broker import subscription
from broker.subscription import Login
from edge_agent import agent as agent_module
from edge_agent.intake import availability, subscriber
from tests.broker.device import packet, publish
from tests.edge_agent.running import LISTENER, SUBSCRIBER, configure, running
from tests.edge_agent.servers import serving
from tests.faults.box import LONGEST_SETTLING_S, account, devices, settle
from tests.faults.campaign import Campaign, Outcome
from tests.faults.hostile_centre import HostileCentre
from tests.faults.kill_agent import subscribe_for_agent
from tests.faults.said import listening
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.faults.tap import Tap, is_version_5
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.edge_agent.running import Running
    from tests.faults.said import Said
    from tests.faults.sender import Load

SEED: Final = 5
_DEVICES: Final = 4
_FIRST_WAIT_S: Final = 0.01
_LONGEST_WAIT_S: Final = 0.05
_LARGEST: Final = b"\xff\xff\xff\x7f"
_OURS: Final = 60_000
"""Packet ids from here on are not those of the broker whose place is taken."""


class Stage(IntEnum):
    """How far a hostile broker behaves."""

    CONNECT = auto()
    CONNACK = auto()
    SUBACK = auto()


@dataclass(frozen=True, slots=True)
class Conduct:
    """What it does then; `v5` where MQTT 5 has it otherwise."""

    name: str
    stage: Stage
    data: bytes = b""
    v5: bytes | None = None
    hangs: bool = True
    """It leaves the connection open until the agent ends it."""
    proven_s: float = 0.5
    """How long a subscription has to stand for being believed: longer than it stands in this conduct, on a busy machine
    too."""
    tries: int = 4
    """Connections that it lasts for at least."""


def _flood(properties: bytes | None) -> bytes:
    numbers = range(_OURS, _OURS + 900)  # of more than Receive Maximum, which is 1,000, no receipts need be kept
    return b"".join(publish("zigbee2mqtt/stranger", b"{}", packet_id=one, properties=properties) for one in numbers)


CONDUCTS: Final = (
    Conduct("closes at once", Stage.CONNECT, hangs=False),
    Conduct("says nothing", Stage.CONNECT),
    Conduct("garbage", Stage.CONNECT, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Conduct("a CONNACK of 256 MB", Stage.CONNECT, b"\x20" + _LARGEST),
    Conduct("refuses", Stage.CONNECT, packet(0x20, b"\0\5"), packet(0x20, b"\0\x87\0")),
    Conduct("a SUBACK first", Stage.CONNECT, packet(0x90, b"\0\1\1"), packet(0x90, b"\0\1\0\1")),
    Conduct("a publication first", Stage.CONNECT, publish("zigbee2mqtt/stranger", packet_id=_OURS)),
    Conduct("grants nothing", Stage.CONNACK),
    Conduct("closes before it grants", Stage.CONNACK, hangs=False),
    Conduct("grants QoS 0", Stage.CONNACK, packet(0x90, b"\0\1\0"), packet(0x90, b"\0\1\0\0")),
    Conduct("refuses the topics", Stage.CONNACK, packet(0x90, b"\0\1\x80"), packet(0x90, b"\0\1\0\x87")),
    Conduct("grants what was not asked", Stage.CONNACK, packet(0x90, b"\0\7\1\1"), packet(0x90, b"\0\7\0\1\1")),
    Conduct("closes when it has granted", Stage.SUBACK, hangs=False),
    Conduct("CONNACK twice", Stage.SUBACK, packet(0x20, b"\0\0"), packet(0x20, b"\0\0\0")),
    Conduct("a packet that is none", Stage.SUBACK, bytes(200)),
    Conduct("a publication of 256 MB", Stage.SUBACK, b"\x32" + _LARGEST),
    Conduct("QoS 2", Stage.SUBACK, publish("zigbee2mqtt/stranger", packet_id=_OURS, qos=2)),
    Conduct(
        "half a publication",
        Stage.SUBACK,
        publish("zigbee2mqtt/stranger", bytes(99), packet_id=_OURS)[:40],
        proven_s=1.2,
        tries=2,
    ),
    Conduct("answers no ping", Stage.SUBACK, proven_s=1.2, tries=2),
    Conduct("sends the agent away", Stage.SUBACK, packet(0xE0), packet(0xE0, b"\x8b\0")),
    Conduct("a flood", Stage.SUBACK, _flood(None), _flood(b""), hangs=False, proven_s=1.2),
)


class HostileBroker:
    """In the place of a real broker, which it lets through while it has no conduct of its own."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._writers: list[asyncio.StreamWriter] = []
        self.conduct: Conduct | None = None
        self.hits: list[float] = []
        """When the connections came that this conduct met."""

    def turn(self, conduct: Conduct | None) -> None:
        """Behave so from here on; every connection there is breaks."""
        self.conduct = conduct
        self.hits.clear()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Part of `serving`."""
        self._writers.append(writer)
        if self.conduct is None:
            await self._tap.answer(reader, writer)
            return
        self.hits.append(asyncio.get_running_loop().time())
        try:
            await self._misbehave(self.conduct, reader, writer)
        finally:
            writer.close()

    async def _misbehave(self, conduct: Conduct, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_v5 = is_version_5(await reader.read(4096))
        if conduct.stage >= Stage.CONNACK:
            writer.write(packet(0x20, b"\0\0\0" if is_v5 else b"\0\0"))
            await reader.read(4096)
        if conduct.stage >= Stage.SUBACK:
            writer.write(packet(0x90, b"\0\1\0\1" if is_v5 else b"\0\1\1"))
        writer.write(conduct.v5 if is_v5 and conduct.v5 is not None else conduct.data)
        await writer.drain()
        while conduct.hangs and await reader.read(4096):
            pass


def _says(agent: Running, word: str) -> bool:
    """Whether /healthz says so of the broker, and no longer that all is well while it is down."""
    found = agent.agent.health._health.as_dict()
    return found["broker"] == word and (word == "up" or found["status"] == "degraded")


async def _live_through(conduct: Conduct, broker: HostileBroker, agent: Running, load: Load, said: Said) -> list[str]:
    """The broker behaves so until it was tried a few times, and is then itself; what was not as promised."""

    said.lines.clear()
    at_listener = [(sender, sender.acknowledged) for sender in load.senders[_DEVICES:]]
    broker.turn(conduct)
    await until(lambda: len(broker.hits) >= conduct.tries, LONGEST_SETTLING_S, "the agent tries again and again")
    await until(lambda: _says(agent, "down"), LONGEST_SETTLING_S, "it says so in its health")
    for sender, before in at_listener:
        await until(lambda: sender.acknowledged > before, LONGEST_SETTLING_S, "others are heard")  # noqa: B023 - at once
    tries, lasted_s = len(broker.hits), broker.hits[-1] - broker.hits[0]
    broker.turn(None)
    await until(lambda: _says(agent, "up"), LONGEST_SETTLING_S, "the broker is back")
    waits = (min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**number) for number in range(1, tries))
    checks = {
        f"{tries} tries in {lasted_s:.2f} s": lasted_s < sum(waits) / 2,
        f"it said {said.lines}": ["unavailable" in line for line in said.lines] != [True, False],
    }
    return [f"{conduct.name}: {sentence}" for sentence, is_so in checks.items() if is_so]


async def _live(count: int, folder: Path, mosquitto: Mosquitto, said: Said) -> Outcome:
    rng, centre, port = random.Random(SEED), HostileCentre(), free_port()
    await subscribe_for_agent(mosquitto.port)
    broker = HostileBroker(Tap(mosquitto.port))
    senders = [Sender(at, f"sensor-{at}-{number}") for at in (mosquitto.port, port) for number in range(_DEVICES)]
    tables = devices([sender.name for sender in senders]), LISTENER.replace("port = 0", f"port = {port}")
    order = [conduct for _ in range(-(-count // len(CONDUCTS))) for conduct in rng.sample(CONDUCTS, len(CONDUCTS))]
    broken: list[str] = []
    async with serving(centre.answer) as at, serving(broker.answer) as place:
        path = configure(folder / "agent", SUBSCRIBER.format(port=place), *tables, centre=f"http://127.0.0.1:{at}")
        async with running(path) as agent, sending(senders, agent.clock) as load:
            for conduct in order:
                with mock.patch.object(subscriber, "PROVEN_S", conduct.proven_s):
                    broken += await _live_through(conduct, broker, agent, load, said)
            load.stop()
            late = await settle(load, centre.model)
            await agent.stop()
    found = account(agent.audit(), load, centre.model)
    names = ", ".join(conduct.name for conduct in CONDUCTS)
    seen = f"{names}: {load.acknowledged * READINGS_A_MESSAGE:,} readings, {found.copies:,} of them known as copies"
    broken += [sentence for sentence in (late, *found.faults) if sentence]
    return Outcome(len(order), found.lost, found.doubled, seen, tuple(broken))


@contextlib.contextmanager
def _impatience() -> Iterator[None]:
    """Waits of a network's patience, cut down to a test's."""
    with contextlib.ExitStack() as stack:
        for module, name, value in (
            (availability, "FIRST_WAIT_S", _FIRST_WAIT_S),
            (availability, "LONGEST_WAIT_S", _LONGEST_WAIT_S),
            (subscriber, "TICK_S", 0.02),
            (subscription, "GREETING_TIMEOUT_S", 0.2),
            (agent_module, "Login", functools.partial(Login, keep_alive_s=1)),
        ):
            stack.enter_context(mock.patch.object(module, name, value))
        yield


def run(count: int, folder: Path) -> Outcome:
    """Go through the conducts, each time in another order."""
    mosquitto = Mosquitto(folder / "mosquitto")
    try:
        with _impatience(), listening(availability.__name__) as said:
            return asyncio.run(_live(count, folder, mosquitto, said))
    finally:
        mosquitto.stop()


CAMPAIGNS: Final = [
    Campaign(
        name="hostile-broker",
        fault="a broker that answers its subscriber with garbage, too much, the wrong packet, less than asked, or not",
        short=len(CONDUCTS),
        long=10 * len(CONDUCTS),
        run=run,
        needs="mosquitto",
    )
]
