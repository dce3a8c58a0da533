"""Devices that send garbage, too much, too little or in the wrong order to the listener, while good ones publish."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from tests.broker.device import PINGREQ, Device, connect, packet, publish
from tests.edge_agent.running import LISTENER, configure, running
from tests.edge_agent.servers import serving
from tests.faults.box import LONGEST_SETTLING_S, account, devices, settle
from tests.faults.campaign import Campaign, Outcome
from tests.faults.hostile_centre import HostileCentre
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from broker.counters import CounterSnapshot
    from tests.edge_agent.running import Running
    from tests.faults.sender import Load

SEED: Final = 1883
_DEVICES: Final = 6
_MOST_CONNECTIONS: Final = 60
_LIMITS: Final = f"""
[listener.limits]
max_connections = {_MOST_CONNECTIONS}
max_unacknowledged = 100
max_exchanges = 50
connect_timeout_s = 3.0
linger_s = 0.1
"""
_STRANGER: Final = "zigbee2mqtt/stranger"


@dataclass(frozen=True, slots=True)
class Offence:
    """What a device does that it may not, and the word by which it is counted."""

    name: str
    word: str
    data: bytes
    greets: int = 0
    """With which version of MQTT it comes in before; 0 if it does not."""
    keep_alive: int = 0
    pause_s: float = 0
    """Between one byte and the next, if they come one by one."""


_NEVER_ENDING: Final = b"\xff\xff\xff\xff\xff"
_LARGEST: Final = b"\xff\xff\xff\x7f"
OFFENCES: Final = (
    Offence("another protocol", "first_packet", b"GET / HTTP/1.1\r\n\r\n"),
    Offence("a publication before CONNECT", "first_packet", publish(_STRANGER, b"{}")),
    Offence("a CONNECT that is none", "malformed", packet(0x10, b"\xff\xff\0\4MQTT")),
    Offence("a CONNECT without an end", "malformed", b"\x10" + _NEVER_ENDING),
    Offence("a CONNECT of 256 MB", "too_large", b"\x10" + _LARGEST),
    Offence("another version", "protocol_version", connect(level=9)),
    Offence("half a CONNECT", "connect_timeout", connect()[:9]),
    Offence("a CONNECT byte by byte", "connect_timeout", connect(), pause_s=0.2),
    Offence("a wrong password", "credentials", connect(username="bridge", password=b"guess")),
    Offence("CONNECT twice", "protocol", connect(), greets=4),
    Offence("a SUBACK", "protocol", packet(0x90, b"\0\1\0"), greets=4),
    Offence("a publication of 256 MB", "too_large", b"\x30" + _LARGEST, greets=4),
    Offence("a packet without an end", "malformed", b"\x30" + _NEVER_ENDING, greets=4),
    Offence("a topic longer than its packet", "malformed", packet(0x30, b"\xff\xffab"), greets=5),
    Offence("a topic that is no text", "malformed", publish(b"\xff\xfe"), greets=4),
    Offence("a topic with a wildcard", "malformed", publish("zigbee2mqtt/#"), greets=5),
    Offence("somebody else's topic", "not_authorized", publish("tele/boiler/SENSOR"), greets=4),
    Offence("QoS 3", "malformed", publish(_STRANGER, packet_id=1, qos=3), greets=4),
    Offence("packet id 0", "protocol", publish(_STRANGER, packet_id=0), greets=4),
    Offence("PUBREL first", "protocol", publish(_STRANGER, packet_id=5, qos=2) + packet(0x62, b"\0\5"), greets=4),
    Offence("QoS 2 in MQTT 5", "qos_2", publish(_STRANGER, packet_id=1, qos=2, properties=b""), greets=5),
    Offence(
        "more at QoS 2 than may be open",
        "receive_maximum",
        b"".join(publish(_STRANGER, packet_id=number, qos=2) for number in range(1, 60)),
        greets=4,
    ),
    Offence("half a publication, and silence", "keep_alive", publish(_STRANGER)[:7], greets=4, keep_alive=1),
)


async def offend(offence: Offence, number: int, port: int) -> None:
    """Do it, and be thrown out."""
    device = await Device.dial(port)
    try:
        with contextlib.suppress(ConnectionError):
            if offence.greets:
                name = f"stranger-{number}"
                greeting = connect(name, level=offence.greets, username="bridge", keep_alive=offence.keep_alive)
                await device.send(greeting)
                assert (await device.read_packet())[0] == 0x20
            for piece in _pieces(offence):
                await device.send(piece)
                await asyncio.sleep(offence.pause_s)
            async with asyncio.timeout(LONGEST_SETTLING_S):
                while await device.reader.read(65_536):
                    pass
    finally:
        await device.close()


def _pieces(offence: Offence) -> list[bytes]:
    return [bytes((byte,)) for byte in offence.data] if offence.pause_s else [offence.data]


async def crowd(port: int) -> None:
    """More connections than there may be, none of which says anything."""
    plugs = [await Device.dial(port) for _ in range(_MOST_CONNECTIONS + 5)]
    with contextlib.suppress(ConnectionError):
        await plugs[-1].read_to_end()
    for plug in plugs:
        await plug.close()


async def deaf(port: int, rng: random.Random) -> None:
    """Ask without end and never listen to an answer; hang up in the middle of a packet."""
    device = await Device.dial(port, receive_buffer=4096)
    await device.send(connect("deaf", username="bridge"))
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(1):
            while True:
                await device.send(PINGREQ * rng.randint(1000, 5000) + b"\xc0")
                await device.send(b"\0")
    device.writer.transport.abort()


async def _one_round(agent: Running, load: Load, rng: random.Random) -> None:
    """Every offence at once, while each good device goes on having its answers."""
    port, before = agent.agent.listener_port or 0, [sender.acknowledged for sender in load.senders]
    await crowd(port)
    few = _DEVICES + _MOST_CONNECTIONS // 2  # a deaf one that owes time is still there, unread
    await until(lambda: _counters(agent)["connections"] < few, LONGEST_SETTLING_S, "the crowd has gone")
    deeds = [offend(offence, number, port) for number, offence in enumerate(OFFENCES)]
    await asyncio.gather(*deeds, deaf(port, rng))
    for sender, acknowledged in zip(load.senders, before, strict=True):
        await until(lambda: sender.acknowledged > acknowledged, LONGEST_SETTLING_S, f"{sender.name} is heard")  # noqa: B023 - at once


async def _live(count: int, folder: Path) -> Outcome:
    rng, centre, port, rounds = random.Random(SEED), HostileCentre(), free_port(), -(-count // len(OFFENCES))
    senders = [Sender(port, f"sensor-{number}", qos=1 + number % 2) for number in range(_DEVICES)]
    tables = LISTENER.replace("port = 0", f"port = {port}"), _LIMITS, devices([sender.name for sender in senders])
    async with serving(centre.answer) as at:
        path = configure(folder / "agent", *tables, centre=f"http://127.0.0.1:{at}")
        async with running(path) as agent, sending(senders, agent.clock) as load:
            await until(lambda: load.acknowledged > 100, LONGEST_SETTLING_S, "the good ones are heard")
            for _ in range(rounds):
                await _one_round(agent, load, rng)
            load.stop()
            late = await settle(load, centre.model)
            refused = Counter(_counters(agent)["refused"])
            await agent.stop()
    found = account(agent.audit(), load, centre.model)
    wanted = Counter([offence.word for offence in OFFENCES] * rounds) + Counter(too_many_connections=rounds)
    checks = {
        late: bool(late),
        f"offences that were not counted: {dict(wanted - refused)}": bool(wanted - refused),
        "good devices were thrown out": any(sender.connections > 1 for sender in senders),
    }
    broken = [*found.faults, *(sentence for sentence, is_so in checks.items() if is_so)]
    counted = ", ".join(f"{word} {number:,}" for word, number in sorted(refused.items()))
    seen = f"{load.acknowledged * READINGS_A_MESSAGE:,} readings of good devices acknowledged meanwhile; {counted}"
    return Outcome(rounds * len(OFFENCES), found.lost, found.doubled, seen, tuple(broken))


def _counters(agent: Running) -> CounterSnapshot:
    assert agent.agent._listener is not None
    return agent.agent._listener.counters


def run(count: int, folder: Path) -> Outcome:
    """So many offences, each kind in turn, all kinds at a time."""
    return asyncio.run(_live(count, folder))


CAMPAIGNS: Final = [
    Campaign(
        name="hostile-device",
        fault="devices that send garbage, too much, half a packet or the wrong one to the listener, slowly, in crowds",
        short=2 * len(OFFENCES),
        long=50 * len(OFFENCES),
        run=run,
    )
]
