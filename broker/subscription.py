"""A subscriber's side of MQTT as a state machine: bytes in; publications and replies out. No I/O, no clock of its own.

It subscribes at QoS 1 to a broker's topics in a session that outlives the connection, and acknowledges a publication
when it is told to. MQTT 5.0 and 3.1.1; section numbers are those of OASIS MQTT 5.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from broker import client_packets, packets, wire
from broker.packets import MQTT_5, PacketType
from broker.publications import Publication
from broker.refusals import PacketRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GREETING_TIMEOUT_S: Final = 5.0
_PUBLISH: Final = 0x30
_QOS_2: Final = 0x04
_KNOWN_TOPICS: Final = 65_536
_SUBSCRIBE_ID: Final = 1
_QOS_1: Final = 0x01
_FAILURE: Final = 0x80
_OTHER_VERSION: Final = frozenset((0x01, 0x84))


class _State(Enum):
    GREETING = auto()
    SUBSCRIBING = auto()
    OPEN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """As whom to connect, for what, and how much may be under way."""

    client_id: str
    topics: Sequence[str]
    username: str = ""
    password: str = field(default="", repr=False)
    keep_alive_s: int = 30
    session_expiry_s: int = 7 * 86_400
    receive_maximum: int = 1_000
    max_packet_bytes: int = 65_536


@dataclass(slots=True)
class Heard:
    """What one call brought. The reply is to be sent before the publications are handed on."""

    publications: list[Publication] = field(default_factory=list)
    reply: bytes = b""
    subscribed: bool = False
    """The broker has just granted every topic."""
    ended: str = ""
    """Why the connection is to be closed, in words without anything of a message; empty while it goes on."""
    other_version: bool = False
    """Whether that is because the broker does not speak this version of MQTT."""


class Subscription:
    """One connection to a broker, from CONNECT to its end. `now` is a monotonic time in seconds."""

    def __init__(self, login: Login, level: int, now: float) -> None:
        self._login = login
        self._level = level
        self._is_v5 = level == MQTT_5
        self._state = _State.GREETING
        self._pending = b""
        self._topics: dict[bytes, str] = {}
        self._keep_alive_s = login.keep_alive_s
        self._opened = self._sent = now
        self._pinged: float | None = None

    def connect(self) -> bytes:
        """The first bytes to send."""
        return client_packets.encode_connect(
            self._level,
            self._login.client_id,
            username=self._login.username,
            password=self._login.password,
            keep_alive_s=self._login.keep_alive_s,
            properties={
                wire.SESSION_EXPIRY: self._login.session_expiry_s,
                wire.RECEIVE_MAXIMUM: self._login.receive_maximum,
                wire.MAXIMUM_PACKET_SIZE: self._login.max_packet_bytes,
            },
        )

    def receive(self, data: bytes, now: float) -> Heard:
        """Take in what the connection brought, in pieces of any size."""
        heard = Heard()
        buffer = self._pending + data if self._pending else data
        found = packets.split(buffer, self._login.max_packet_bytes)
        try:
            for first, start, end in found.packets:
                if first & 0xF0 == _PUBLISH:
                    heard.publications.append(self._publication(first, buffer, start, end))
                else:
                    self._control(first, buffer, start, end, heard)
                if heard.ended:
                    return heard
            if found.fault:
                raise found.fault
        except PacketRefused as refused:
            heard.ended = f"the broker sent what MQTT forbids: {refused}"
        self._pending = buffer[found.consumed :]
        if heard.reply:
            self._sent = now
        return heard

    def acknowledge(self, packet_ids: Iterable[int], now: float) -> bytes:
        """PUBACKs, in the order in which the publications came [MQTT-4.6.0-2]."""
        self._sent = now
        return packets.encode_pubacks(packet_ids)

    def publish(self, topic: str, payload: bytes, now: float) -> bytes:
        """A PUBLISH at QoS 0, not retained (section 3.3)."""
        self._sent = now
        return packets.encode_publish(topic, payload, is_v5=self._is_v5)

    def resume(self, now: float) -> None:
        """Reading goes on after a pause that was ours."""
        self._opened = now
        self._pinged = None

    @property
    def is_answer_due(self) -> bool:
        """Whether the broker was asked for a sign of life and has not given it."""
        return self._pinged is not None

    def tick(self, now: float) -> Heard:
        """Keep the connection alive (section 3.1.2.10); ended when the broker does not answer.

        Some brokers of another version do not even refuse a CONNECT: they fall silent.
        """
        heard = Heard()
        if self._state is not _State.OPEN and now - self._opened > GREETING_TIMEOUT_S:
            heard.ended = "the broker does not answer"
            heard.other_version = self._state is _State.GREETING
        elif self._pinged is not None and now - self._pinged > self._keep_alive_s / 2:
            heard.ended = "the broker does not answer"
        elif self._pinged is None:
            heard.reply = self.keep_alive(now)
            self._pinged = now if heard.reply else None
        return heard

    def keep_alive(self, now: float) -> bytes:
        """A PINGREQ if it is time for one. Where nothing is read its answer cannot be waited for, yet a broker that
        hears nothing for one and a half times the keep alive hangs up (section 3.1.2.10).
        """
        if self._state is not _State.OPEN or now - self._sent < self._keep_alive_s / 2:
            return b""
        self._sent = now
        return client_packets.PINGREQ

    def _publication(self, first: int, buffer: bytes, start: int, end: int) -> Publication:
        if first & 0x06 == _QOS_2 or self._state is _State.GREETING:
            raise wire.malformed("a publication at a QoS that was not asked for, or before CONNACK")
        raw_topic, packet_id, payload = packets.decode_publish(first, buffer, start, end, is_v5=self._is_v5)
        topic = self._topics.get(raw_topic)
        if topic is None:
            topic = packets.decode_topic(raw_topic)
            if len(self._topics) < _KNOWN_TOPICS:
                self._topics[raw_topic] = topic
        return Publication(topic, buffer[payload:end], packet_id, first & 0x08 != 0, first & 0x01 != 0)

    def _control(self, first: int, buffer: bytes, start: int, end: int, heard: Heard) -> None:
        match first >> 4, self._state:
            case PacketType.CONNACK, _State.GREETING:
                self._greeted(buffer, start, end, heard)
            case PacketType.SUBACK, _State.SUBSCRIBING:
                self._subscribed(buffer, start, end, heard)
            case PacketType.PINGRESP, _State.OPEN:
                self._pinged = None
            case PacketType.DISCONNECT, _ if self._is_v5:
                code, _ = packets.decode_disconnect(buffer, start, end, is_v5=True)
                heard.ended = f"the broker ends the connection: {client_packets.reason(code)}"
            case _:
                raise wire.malformed("a packet that a broker may not send here")

    def _greeted(self, buffer: bytes, start: int, end: int, heard: Heard) -> None:
        code, keep_alive_s = client_packets.decode_connack(buffer, start, end)
        if code:
            heard.ended = f"the broker refuses the connection: {client_packets.reason(code)}"
            heard.other_version = code in _OTHER_VERSION
            return
        self._keep_alive_s = keep_alive_s or self._login.keep_alive_s
        self._state = _State.SUBSCRIBING
        heard.reply += client_packets.encode_subscribe(_SUBSCRIBE_ID, self._login.topics, is_v5=self._is_v5)

    def _subscribed(self, buffer: bytes, start: int, end: int, heard: Heard) -> None:
        filters = len(self._login.topics)
        codes = client_packets.decode_suback(
            buffer, start, end, packet_id=_SUBSCRIBE_ID, filters=filters, is_v5=self._is_v5
        )
        refused = next((code for code in codes if code >= _FAILURE), None)
        if refused is not None:
            heard.ended = f"the broker refuses the subscription: {client_packets.reason(refused)}"
            return
        if any(code != _QOS_1 for code in codes):
            heard.ended = "the broker does not grant QoS 1, and would lose messages"
            return
        self._state = _State.OPEN
        heard.subscribed = True
