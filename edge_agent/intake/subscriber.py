"""Intake by subscription to a broker that the school already has; acknowledged by hand, after the commit.

MQTT 5 with a lasting session where the broker has it, else 3.1.1; QoS 1. paho runs on the loop's own socket, so
no thread stands between the broker and the core. A message the broker kept (retained) is not fresh and is marked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from device_drivers.contract import Frame
from edge_agent.events import Arrival, Batch
from edge_agent.intake.availability import Availability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.intake import Deliver
    from telemetry import Clock

SESSION_EXPIRY_S: Final = 7 * 86_400
RECEIVE_MAXIMUM: Final = 1000
KEEP_ALIVE_S: Final = 30
CONNECT_TIMEOUT_S: Final = 5.0
LARGEST_PACKET: Final = 65_536


@dataclass(frozen=True, slots=True)
class SubscriberToken:
    """By which connection a batch came."""

    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the school's broker is, and as whom to connect."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = ""
    topics: Sequence[str]


class SubscriberIntake:
    """Keeps one subscription, through restarts of the broker and of the agent."""

    def __init__(self, address: BrokerAddress, clock: Clock, deliver: Deliver) -> None:
        self._address = address
        self._clock = clock
        self._deliver = deliver
        self._availability = Availability("broker")
        self._generation = 0
        self._protocol = mqtt.MQTTv5
        self._client: mqtt.Client | None = None
        self._inbox: list[Arrival] = []
        self._lost = asyncio.Event()
        self._greeted = False
        """Whether the broker accepted this connection; one that has no MQTT 5 may just hang up on it."""
        self._refusal = ""

    def acknowledge(self, batch: Batch) -> None:
        """Send the PUBACKs of what is on disk; those of an earlier connection are dropped, the broker sends again."""
        if self._client is None or batch.token != SubscriberToken(self._generation):
            return
        for arrival in batch.arrivals:
            if arrival.packet_id:
                self._client.ack(arrival.packet_id, 1)

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        while True:
            self._lost.clear()
            self._greeted, self._refusal = False, ""
            client = self._client = self._new_client()
            wait = 0.0
            try:
                await self._connect(client)
                await self._serve(client)
            except OSError as error:  # TimeoutError is one
                wait = self._availability.down(f"{self._address.host}:{self._address.port}: {error}")
                if not self._greeted:
                    self._protocol = mqtt.MQTTv311 if self._protocol == mqtt.MQTTv5 else mqtt.MQTTv5
            finally:
                self._client = None
                client.disconnect()
                client.loop_misc()
            await asyncio.sleep(wait or 0.1)

    def _new_client(self) -> mqtt.Client:
        five = self._protocol == mqtt.MQTTv5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._address.client_id,
            protocol=self._protocol,
            manual_ack=True,
            clean_session=None if five else False,
            reconnect_on_failure=False,
        )
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_disconnect = lambda *_: self._lost.set()
        loop = asyncio.get_running_loop()
        client.on_socket_open = lambda _client, _userdata, sock: loop.add_reader(sock, self._read, client)
        client.on_socket_close = lambda _client, _userdata, sock: _forget(loop, sock)
        client.on_socket_register_write = lambda _client, _userdata, sock: loop.add_writer(sock, client.loop_write)
        client.on_socket_unregister_write = lambda _client, _userdata, sock: _forget_writer(loop, sock)
        return client

    async def _connect(self, client: mqtt.Client) -> None:
        """Open the connection. paho's own connect blocks, so first see, without blocking, that somebody answers."""
        self._generation += 1
        address = self._address
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
        host, port = writer.get_extra_info("peername")[:2]
        writer.close()
        if self._protocol == mqtt.MQTTv5:
            client.connect(host, port, KEEP_ALIVE_S, clean_start=False, properties=_lasting_session())
        else:
            client.connect(host, port, KEEP_ALIVE_S)

    async def _serve(self, client: mqtt.Client) -> None:
        while not self._lost.is_set():
            if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
            try:
                await asyncio.wait_for(self._lost.wait(), timeout=1)
            except TimeoutError:
                continue
        raise ConnectionError(self._refusal or "the connection ended")

    def _read(self, client: mqtt.Client) -> None:
        """Take everything that one read brought as one batch."""
        if client.loop_read(100) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lost.set()
        if self._inbox:
            arrivals, self._inbox = self._inbox, []
            session = f"broker/{self._address.client_id}"
            self._deliver(Batch(arrivals, self._clock.now(), session=session, token=SubscriberToken(self._generation)))

    def _on_connect(self, client: mqtt.Client, _userdata: object, _flags: object, reason: Any, _props: object) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses the connection: {reason}"
            self._lost.set()
            return
        self._greeted = True
        self._availability.up()
        client.subscribe([(topic, 1) for topic in self._address.topics])

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        frame = Frame(bytes(message.payload), topic=message.topic)
        packet_id = message.mid if message.qos else 0
        self._inbox.append(Arrival(frame, packet_id, bool(message.dup), bool(message.retain)))


def _forget(loop: asyncio.AbstractEventLoop, sock: Any) -> None:
    loop.remove_reader(sock)
    loop.remove_writer(sock)


def _forget_writer(loop: asyncio.AbstractEventLoop, sock: Any) -> None:
    loop.remove_writer(sock)


def _lasting_session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it untyped
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = LARGEST_PACKET
    return properties
