"""An MQTT client as a device has one: what it has to say waits in memory until it is acknowledged.

paho-mqtt runs on the loop's own sockets. Nothing is lost while the broker is away: messages wait here in order,
and those already sent without a PUBACK are sent again by paho after a reconnect as the same message, with DUP=1
and the packet id they had, whether or not the broker still knows the session (MQTT 5.0, section 4.4, demands it
where the session is present; where it is not, a device that forgot them would lose them).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators import unreached
from simulators.broker_watch import BrokerWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import ConnectFlags, DisconnectFlags, SocketLike
    from paho.mqtt.reasoncodes import ReasonCode

MOST_WAITING: Final = 50_000
"""How many messages a device may have waiting before it says nothing new."""
_WINDOW: Final = 200
"""How many messages may be under way; fewer where the broker's Receive Maximum says so."""
_KEEPALIVE_S: Final = 60
_SESSION_EXPIRY_S: Final = 86_400
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 1.0
_HANDSHAKE_S: Final = 10.0


class DeviceClient:
    """Publishes at QoS 1 and keeps each message until its PUBACK. For one asyncio loop."""

    def __init__(
        self,
        client_id: str,
        password: str,
        address: tuple[str, int],
        *,
        protocol: MQTTProtocolVersion,
        watch: BrokerWatch | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`watch` hears of every attempt to connect; `tls` says whom to believe, where the broker speaks it."""
        self.client_id = client_id
        self.refused = 0
        """Messages the broker answered with an error; they count as sent and never as confirmed."""
        self._address = address
        self._watch = watch or BrokerWatch()
        self._tls = tls
        self._protocol = protocol
        self._queue: deque[tuple[str, bytes, Callable[[], None]]] = deque()
        self._unconfirmed: dict[int, Callable[[], None]] = {}
        self._window = _WINDOW
        self._connected = False
        self._turned_away = ""
        """Why the last attempt failed, where the broker said so."""
        self._lost = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._connack: asyncio.Future[bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._password = password
        self._commands: dict[str, Callable[[bytes], None]] = {}
        self._client = self._create()

    @property
    def waiting(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._queue) + len(self._unconfirmed)

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the connection that stands."""
        return self._connected

    def offer(self, topic: str, payload: bytes, confirmed: Callable[[], None]) -> None:
        """Say it as soon as possible; `confirmed` is called at its PUBACK. Never blocks."""
        self._queue.append((topic, payload, confirmed))
        if self.waiting >= MOST_WAITING:
            self._room.clear()
        self._pump()

    def listen(self, topic: str, told: Callable[[bytes], None]) -> None:
        """Subscribe to a topic at each connection to come; `told` is called with each payload."""
        self._commands[topic] = told

    async def has_room(self) -> None:
        """Return when fewer than `MOST_WAITING` messages wait."""
        await self._room.wait()

    async def run(self) -> None:
        """Connect, and connect again whenever the connection is lost, until cancelled."""
        delay = _FIRST_DELAY_S
        while True:
            if await self._connect():
                self._watch.reached(self.client_id)
                delay = _FIRST_DELAY_S
                await self._until_lost()
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)

    def power_off(self) -> None:
        """Be gone at once, without a goodbye, and remember nothing; `run` may be called again."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # a linger of no time resets the connection: the other side learns that nobody said goodbye
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._on_socket_close(self._client, None, sock)
            sock.close()
        self._connected = False
        self._lost.set()
        self._queue.clear()
        self._unconfirmed.clear()
        self._room.set()
        self._client = self._create()

    async def close(self) -> None:
        """Say goodbye; what is still unacknowledged stays unacknowledged."""
        if self._client.socket() is None:
            return
        self._client.disconnect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._lost.wait()

    def _create(self) -> paho.Client:
        is_v5 = self._protocol == MQTTProtocolVersion.MQTTv5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self.client_id,
            clean_session=None if is_v5 else False,
            protocol=self._protocol,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self.client_id, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.max_inflight_messages_set(0)  # the window is kept here, where the broker's is known
        client.connect_timeout = 5.0
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_socket_register_write
        client.on_socket_unregister_write = self._on_socket_unregister_write
        return client

    async def _connect(self) -> bool:
        options: dict[str, Any] = {}
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            create: Any = Properties  # paho publishes no types for it
            properties = create(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = _SESSION_EXPIRY_S
            options = {"clean_start": False, "properties": properties}
        self._lost.clear()
        self._connack = self._loop.create_future()
        host, port = self._address
        try:
            await self._in_thread(functools.partial(self._client.connect, host, port, _KEEPALIVE_S, **options))
            async with asyncio.timeout(_HANDSHAKE_S):
                is_in = await self._connack
            why = self._turned_away
        except OSError as error:
            if self._client.socket() is not None:
                self._client.disconnect()
            is_in, why = False, unreached.why(error) or "no CONNACK in time"
        if not is_in:
            self._watch.failed(self.client_id, why)
        return is_in

    async def _in_thread(self, connect: Callable[[], object]) -> None:
        # opening a socket is the one thing paho can only do by blocking; a thread cannot be cancelled, so wait
        opening = asyncio.ensure_future(asyncio.to_thread(connect))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            raise

    async def _until_lost(self) -> None:
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_KEEPALIVE_S / 4):
                    await self._lost.wait()
            self._client.loop_misc()

    def _pump(self) -> None:
        while self._connected and self._queue and len(self._unconfirmed) < self._window:
            topic, payload, confirmed = self._queue.popleft()
            info = self._client.publish(topic, payload, qos=1)
            # paho keeps the message even when the connection broke while it was being written
            self._unconfirmed[info.mid] = confirmed

    def _on_connect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._connack is None or self._connack.done():
            return
        if reason.is_failure:
            self._turned_away = f"the broker refuses the connection: {reason}"
            self._connack.set_result(False)
            return
        self._window = min(_WINDOW, getattr(properties, "ReceiveMaximum", _WINDOW))
        self._connected = True
        self._connack.set_result(True)
        if self._commands:
            self._client.subscribe([(topic, 1) for topic in self._commands])
        # paho sends its own unacknowledged messages first, after this callback: they keep their place
        self._loop.call_soon(self._pump)

    def _on_disconnect(
        self, _client: paho.Client, _data: object, _flags: DisconnectFlags, _reason: ReasonCode, _properties: object
    ) -> None:
        self._connected = False
        self._lost.set()
        if self._connack is not None and not self._connack.done():
            self._turned_away = "it hangs up before a CONNACK"
            self._connack.set_result(False)

    def _on_publish(
        self, _client: paho.Client, _data: object, packet_id: int, reason: ReasonCode, _properties: object
    ) -> None:
        confirmed = self._unconfirmed.pop(packet_id)
        if self.waiting < MOST_WAITING:
            self._room.set()
        if reason.is_failure:
            self.refused += 1
        else:
            confirmed()
        if self._queue:
            self._loop.call_soon(self._pump)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if (told := self._commands.get(message.topic)) is not None:
            told(bytes(message.payload))

    def _on_socket_open(self, _client: paho.Client, _data: object, sock: SocketLike) -> None:
        self._on_loop(self._loop.add_reader, sock.fileno(), self._read, sock)

    def _read(self, sock: SocketLike) -> None:
        self._client.loop_read()
        while isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
            self._client.loop_read()  # decrypted already: no selector tells of it

    def _on_socket_close(self, _client: paho.Client, _data: object, sock: SocketLike) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())

    def _on_socket_register_write(self, _client: paho.Client, _data: object, sock: SocketLike) -> None:
        self._on_loop(self._loop.add_writer, sock.fileno(), self._client.loop_write)

    def _on_socket_unregister_write(self, _client: paho.Client, _data: object, sock: SocketLike) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock.fileno())

    def _on_loop(self, register: Callable[..., object], *arguments: object) -> None:
        # paho opens its socket in the thread that connects
        if threading.get_ident() == self._thread:
            register(*arguments)
        else:
            self._loop.call_soon_threadsafe(register, *arguments)
