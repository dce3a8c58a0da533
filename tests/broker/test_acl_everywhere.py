"""One meaning of credentials and ACL, whichever endpoint the devices connect to."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

from bansui.free_port import free_port
from broker.command_topics import KEPT
from broker.credentials import Client, Credentials, ScryptHash
from broker.listener import Addresses, Listener
from broker.mosquitto import HashNotForMosquitto, write_settings
from broker.trial import trial_broker
from tests.broker.device import DISCONNECT, PINGREQ, PINGRESP, Device, connect, publish, subscribe
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from broker.publications import Publication, Publications
    from broker.wills import Presence

CLIENTS = (
    Client("gateway", b"pw-gateway", ("zigbee2mqtt/#", "plain/topic")),
    Client("wide", b"pw-wide", ("#",)),
    Client("levels", b"pw-levels", ("+/b/+", "/lead")),
    Client("mute", b"pw-mute"),
    Client("plug", b"pw-plug", ("tele/plug-1/#",), ("house/+",)),
    Client("witness", b"pw-witness", ("#",), ("#",)),
)
MARKER = b"end of the trial"


class Endpoint(Protocol):
    port: int

    async def saw(self, payload: bytes) -> bool: ...

    async def heard_will(self, topic: str, message: bytes) -> bool: ...

    async def hands_out(self, topic: str, device: Device) -> bool: ...


@dataclass
class DurableListener:
    port: int
    received: list[Publication]
    presences: list[Presence]

    async def heard_will(self, topic: str, message: bytes) -> bool:
        """Its message is dropped; that the device is gone is told."""
        return any(one.topic == topic for one in self.presences)

    async def saw(self, payload: bytes) -> bool:
        return any(one.payload == payload for one in self.received)

    async def hands_out(self, topic: str, device: Device) -> bool:
        """It forwards nothing: of what is granted, only what is kept comes."""
        await device.send(PINGREQ)
        first, _ = await device.read_packet()
        return (first >> 4 == 3) == (topic in KEPT)


@dataclass
class AnyBroker:
    port: int
    reader: Device
    bodies: list[bytes] = field(default_factory=list)
    """Of all that the witness got."""

    async def heard_will(self, topic: str, message: bytes) -> bool:
        await self.saw(message)
        return any(body.endswith(message) for body in self.bodies)

    async def saw(self, payload: bytes) -> bool:
        """Whether the witness got it before a marker that was sent later."""
        await self.reader.send(publish("marker", MARKER))
        seen = False
        while True:
            first, body = await self.reader.read_packet()
            self.bodies.append(body)
            seen = seen or (first >> 4 == 3 and body.endswith(payload))
            if first >> 4 == 3 and body.endswith(MARKER):
                return seen

    async def hands_out(self, topic: str, device: Device) -> bool:
        """Whether what the witness publishes there reaches a device that has subscribed to it."""
        await self.reader.send(publish(topic, b"for the device"))
        assert await self.saw(b"for the device")
        await device.send(PINGREQ)
        first, _ = await device.read_packet()
        return first >> 4 == 3


@asynccontextmanager
async def durable_listener(_folder: Path) -> AsyncIterator[Endpoint]:
    received: list[Publication] = []

    def handle(publications: Publications) -> None:
        received.extend(publications.items)

    presences: list[Presence] = []
    listener = Listener(
        Addresses(["127.0.0.1"]), credentials=Credentials(CLIENTS), handler=handle, presence=presences.append
    )
    await listener.start()
    yield DurableListener(listener.port, received, presences)
    await listener.stop()


@asynccontextmanager
async def amqtt(_folder: Path) -> AsyncIterator[Endpoint]:
    port = free_port()
    async with trial_broker(Credentials(CLIENTS), "127.0.0.1", port), witness(port) as endpoint:
        yield endpoint


@asynccontextmanager
async def mosquitto_broker(folder: Path) -> AsyncIterator[Endpoint]:
    settings = write_settings(Credentials(CLIENTS), folder / "settings").read_text()
    broker = Mosquitto(folder / "mosquitto", f"user root\n{settings}")
    try:
        async with witness(broker.port) as endpoint:
            yield endpoint
    finally:
        broker.stop()


@asynccontextmanager
async def witness(port: int) -> AsyncIterator[AnyBroker]:
    reader = await Device.dial(port)
    await reader.send(connect("witness", username="witness", password=b"pw-witness"))
    assert await reader.read_packet() == (0x20, b"\0\0")
    await reader.send(subscribe("#"))
    assert (await reader.read_packet())[0] == 0x90
    try:
        yield AnyBroker(port, reader)
    finally:
        await reader.close()


EVERYWHERE = pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(durable_listener, id="listener"),
        pytest.param(amqtt, id="amqtt"),
        pytest.param(mosquitto_broker, id="mosquitto", marks=pytest.mark.mosquitto),
    ],
)
if TYPE_CHECKING:
    MakeEndpoint = Callable[[Path], AbstractAsyncContextManager[Endpoint]]

LOGINS = [
    ("gateway", b"pw-gateway", True),
    ("gateway", b"pw-wide", False),
    ("gateway", b"", False),
    ("nobody", b"pw-gateway", False),
    ("mute", b"pw-mute", True),
    (None, None, False),
]
TOPICS = [
    ("gateway", "zigbee2mqtt/a/b", True),
    ("gateway", "zigbee2mqtt", True),
    ("gateway", "plain/topic", True),
    ("gateway", "plain/topic/deeper", False),
    ("gateway", "plain", False),
    ("gateway", "Zigbee2mqtt/a", False),
    ("gateway", "bansui/vr/other", False),
    ("wide", "any/where", True),
    ("wide", "$SYS/broker/load", False),
    ("levels", "a/b/c", True),
    ("levels", "a/b/c/d", False),
    ("levels", "/lead", True),
    ("levels", "lead", False),
    ("mute", "zigbee2mqtt/a", False),
]


@EVERYWHERE
async def test_who_may_connect(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    async with endpoint(tmp_path) as running:
        answers = []
        for username, password, _ in LOGINS:
            device = await Device.dial(running.port)
            await device.send(connect("probe", username=username, password=password))
            answer = await device.reader.read(4)
            answers.append((username, password, answer == b"\x20\x02\0\0"))
            await device.close()
        assert answers == LOGINS


@EVERYWHERE
async def test_who_may_publish_what(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    async with endpoint(tmp_path) as running:
        answers = []
        for index, (client, topic, _) in enumerate(TOPICS):
            device, payload = await Device.dial(running.port), b"probe %d!" % index
            await device.send(connect(f"probe-{index}", username=client, password=b"pw-" + client.encode()))
            assert await device.read_packet() == (0x20, b"\0\0")
            await device.send(publish(topic, payload) + PINGREQ)
            with suppress(ConnectionError):  # some endpoints end the connection over a topic that is not its own
                await device.reader.read(2)
            answers.append((client, topic, await running.saw(payload)))
            await device.close()
        assert answers == TOPICS


async def _until_heard(running: Endpoint, topic: str, message: bytes) -> None:
    heard: bool = await until(lambda: running.heard_will(topic, message))
    assert heard


@EVERYWHERE
async def test_who_may_leave_a_will_where(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    """The listener and amqtt refuse another's topic at CONNECT; Mosquitto lets the client in, and drops its will."""
    async with endpoint(tmp_path) as running:
        for index, (client, topic, _) in enumerate(TOPICS):
            device, password = await Device.dial(running.port), b"pw-" + client.encode()
            will = (topic, b"gone %d!" % index, 0)
            await device.send(connect(f"probe-{index}", username=client, password=password, will=will))
            answer = await device.reader.read(4)
            if answer == b"\x20\x02\0\0":
                await device.send(b"\0\0")  # no packet: the broker has to end the connection
            await device.close()
        for index, (_, topic, may) in enumerate(TOPICS):
            if may:
                await _until_heard(running, topic, b"gone %d!" % index)
        heard = [await running.heard_will(topic, b"gone %d!" % index) for index, (_, topic, _) in enumerate(TOPICS)]
        assert heard == [may for _, _, may in TOPICS]


SUBSCRIPTIONS = [
    ("plug", "cmnd/plug-1/POWER", True),
    ("plug", "cmnd/tasmotas/POWER", True),
    ("plug", "cmnd/plug-2/POWER", False),
    ("plug", "tele/plug-1/SENSOR", False),
    ("plug", "house/a", True),
    ("plug", "house/a/b", False),
    ("plug", "homeassistant/status", True),
    ("plug", "homeassistant/sensor/x/config", False),
    ("gateway", "zigbee2mqtt/lamp/set", True),
    ("gateway", "plain/topic/set", False),
    ("wide", "any/set", False),
    ("levels", "a/b/c", False),
    ("mute", "homeassistant/status", True),
    ("mute", "zigbee2mqtt/lamp/set", False),
]


@EVERYWHERE
async def test_who_may_subscribe_to_what(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    """The listener and amqtt say so in the SUBACK; Mosquitto grants all, and hands out only what may be read."""
    async with endpoint(tmp_path) as running:
        answers = []
        for index, (client, topic, _) in enumerate(SUBSCRIPTIONS):
            device = await Device.dial(running.port)
            await device.send(connect(f"probe-{index}", username=client, password=b"pw-" + client.encode()))
            assert await device.read_packet() == (0x20, b"\0\0")
            await device.send(subscribe(topic))
            kind, body = await device.read_packet()
            assert kind == 0x90
            answers.append((client, topic, body[-1] < 0x80 and await running.hands_out(topic, device)))
            await device.send(DISCONNECT)
            assert await device.read_to_end() in (b"", PINGRESP)
            await device.close()
        assert answers == SUBSCRIPTIONS


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(amqtt, id="amqtt"),
        pytest.param(mosquitto_broker, id="mosquitto", marks=pytest.mark.mosquitto),
    ],
)
async def test_a_device_hears_nothing_of_the_others(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    async with endpoint(tmp_path) as running:
        device = await Device.dial(running.port)
        await device.send(connect("probe", username="wide", password=b"pw-wide"))
        assert await device.read_packet() == (0x20, b"\0\0")
        await device.send(subscribe("#", "any/where"))
        assert (await device.read_packet())[0] == 0x90
        await device.send(publish("any/where", b"mine"))
        assert await running.saw(b"mine")
        await device.expect_silence()
        await device.close()


def test_a_hashed_password_cannot_be_told_to_mosquitto(tmp_path: Path) -> None:
    hashed = Credentials([Client("a", ScryptHash.of(b"x"), ("t",))])
    with pytest.raises(HashNotForMosquitto, match="client 'a'"):
        write_settings(hashed, tmp_path / "out")
    assert not (tmp_path / "out").exists()
