"""MQTT 3.1.1 and 5.0 control packets, as ends that only take messages in need them, client or server; no I/O.

Section numbers are those of OASIS MQTT 5.0; MQTT 3.1.1 numbers the packets of chapter 3 alike. Protocol level 4 is
MQTT 3.1.1 and 5 is MQTT 5.0.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.refusals import PacketRefused, Refusal
from broker.topics import is_topic_name
from broker.wire import (
    AUTHENTICATION_METHOD,
    IN_CONNECT,
    IN_DISCONNECT,
    IN_PUBLISH,
    IN_PUBREL,
    IN_WILL,
    MAXIMUM_PACKET_SIZE,
    SESSION_EXPIRY,
    TOPIC_ALIAS,
    WILL_DELAY,
    Properties,
    Property,
    Reader,
    decode_text,
    decode_varint,
    encode_properties,
    encode_text,
    encode_varint,
    malformed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MQTT_3_1_1: Final = 4
MQTT_5: Final = 5
NEVER_EXPIRES: Final = 0xFFFFFFFF

SUCCESS: Final = 0x00
PINGRESP: Final = b"\xd0\x00"
_MAXIMUM_HEADER: Final = 5
_ACK: Final = Struct(">HH")
_PACKET_ID_NOT_FOUND: Final = 0x92


class PacketType(IntEnum):
    """Control packets (table 2-1): those that are read here."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBREL = 6
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


# Table 2-2: what a client may send, and the flags of its fixed header, reserved in all but PUBLISH [MQTT-2.1.3-1].
RESERVED_FLAGS: Final[dict[int, int]] = {
    PacketType.CONNECT: 0,
    PacketType.PUBREL: 2,
    PacketType.SUBSCRIBE: 2,
    PacketType.UNSUBSCRIBE: 2,
    PacketType.PINGREQ: 0,
    PacketType.DISCONNECT: 0,
}


class Split(NamedTuple):
    """What a buffer holds: whole packets, how far they reach, how long it must grow to hold one more."""

    packets: list[tuple[int, int, int]]
    """First byte of the fixed header, start and end of what follows the fixed header."""
    consumed: int
    needed: int
    fault: PacketRefused | None = None
    """Why nothing after `consumed` can be read."""


def split(buffer: bytes, maximum: int, most: int = sys.maxsize) -> Split:
    """The whole packets of a buffer, `most` of them. One larger than `maximum` is a fault once its header is there."""
    packets: list[tuple[int, int, int]] = []
    position, size = 0, len(buffer)
    while position + 2 <= size and len(packets) < most:
        length, start = buffer[position + 1], position + 2
        if length > 0x7F and position + 2 < size and buffer[start] <= 0x7F:
            length = length & 0x7F | buffer[start] << 7  # two bytes, as most readings have; the loop below is slower
            start += 1
        elif length > 0x7F:
            try:
                decoded = decode_varint(buffer, position + 1, size)
            except PacketRefused as fault:
                return Split(packets, position, 0, fault)
            if decoded is None:
                break
            length, start = decoded
        end = start + length
        if end - position > maximum:
            return Split(packets, position, 0, PacketRefused(Refusal.TOO_LARGE, "a packet above the size limit"))
        if end > size:
            return Split(packets, position, end - position)
        packets.append((buffer[position], start, end))
        position = end
    return Split(packets, position, min(size - position + 1, _MAXIMUM_HEADER))


class Will(NamedTuple):
    """Of a will (sections 3.1.2.5 and 3.1.3.2), what is kept: its message is no reading, and is never passed on."""

    topic: str
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT (section 3.1)."""

    level: int
    client_id: str
    clean_start: bool
    keep_alive_s: int
    username: str | None
    password: bytes | None = field(repr=False)
    will: Will | None
    session_expiry_s: int
    """How long the session outlives the connection; `NEVER_EXPIRES` for a 3.1.1 session that is not clean."""
    max_packet_bytes: float
    """The largest packet that the client takes."""


class VersionRefused(PacketRefused):
    """A CONNECT of another MQTT version; `level` is the one that the client asked for."""

    def __init__(self, level: int) -> None:
        super().__init__(Refusal.PROTOCOL_VERSION, "a protocol level that is not served")
        self.level = level


def connect_level(buffer: bytes, start: int, end: int) -> int:
    """The protocol level of a CONNECT. Raises `VersionRefused`, or `PacketRefused` for another protocol's name."""
    reader = Reader(buffer, start, end)
    name, level = reader.binary(), reader.integer(1)
    if name == b"MQIsdp":  # MQTT 3.1, before OASIS: its clients understand the answer
        raise VersionRefused(level)
    if name != b"MQTT":
        raise PacketRefused(Refusal.FIRST_PACKET, "a protocol name that is not MQTT [MQTT-3.1.2-1]")
    if level not in (MQTT_3_1_1, MQTT_5):
        raise VersionRefused(level)
    return level


def decode_connect(buffer: bytes, start: int, end: int) -> Connect:
    """CONNECT of a version that `connect_level` has let pass."""
    reader = Reader(buffer, start, end)
    reader.binary()
    level, flags, keep_alive_s = reader.integer(1), reader.integer(1), reader.integer(2)
    if flags & 0x01:
        raise malformed("the reserved flag of CONNECT is set [MQTT-3.1.2-3]")
    clean_start, is_v5 = bool(flags & 0x02), level == MQTT_5
    properties = reader.properties(IN_CONNECT) if is_v5 else {}
    if AUTHENTICATION_METHOD in properties:
        raise PacketRefused(Refusal.AUTHENTICATION_METHOD, "an authentication method")
    client_id = reader.text()
    will = _read_will(reader, flags, is_v5=is_v5)
    username = reader.text() if flags & 0x80 else None
    if flags & 0x40 and username is None and not is_v5:
        raise malformed("a password without a user name [MQTT-3.1.2-22 in 3.1.1]")
    password = reader.binary() if flags & 0x40 else None
    if not reader.at_end():
        raise malformed("a CONNECT longer than its fields")
    lasts: Property = 0 if clean_start else NEVER_EXPIRES
    expiry = properties.get(SESSION_EXPIRY, 0) if is_v5 else lasts
    largest = properties.get(MAXIMUM_PACKET_SIZE, inf)
    assert isinstance(expiry, int)
    assert isinstance(largest, int | float)
    return Connect(level, client_id, clean_start, keep_alive_s, username, password, will, expiry, largest)


def _read_will(reader: Reader, flags: int, *, is_v5: bool) -> Will | None:
    has_will, qos = bool(flags & 0x04), flags >> 3 & 3
    if not has_will:
        if flags & 0x38:
            raise malformed("flags of a will that is not there [MQTT-3.1.2-11, 13, 15]")
        return None
    if qos == 3:
        raise malformed("a will with QoS 3 [MQTT-3.1.2-12]")
    delay_s = reader.properties(IN_WILL).get(WILL_DELAY, 0) if is_v5 else 0
    assert isinstance(delay_s, int)
    topic = reader.text()
    if not is_topic_name(topic):
        raise PacketRefused(Refusal.TOPIC, "a will for a topic that cannot be")
    reader.binary()
    if qos == 2 and is_v5:
        raise PacketRefused(Refusal.QOS_2, "a will with QoS 2 [MQTT-3.2.2-12]")
    return Will(topic, delay_s)


def decode_publish(first: int, buffer: bytes, start: int, end: int, *, is_v5: bool) -> tuple[bytes, int, int]:
    """PUBLISH (section 3.3): its topic's bytes, not yet checked; packet id, 0 at QoS 0; where its payload starts."""
    qos_bits = first & 0x06
    if qos_bits != 0x02 and (qos_bits == 0x06 or first & 0x0E == 0x08):
        raise malformed("QoS 3 [MQTT-3.3.1-4], or DUP at QoS 0 [MQTT-3.3.1-2]")
    if end - start < 2:
        raise malformed("a PUBLISH without a topic")
    position = start + 2 + (buffer[start] << 8 | buffer[start + 1])
    topic = buffer[start + 2 : position]
    packet_id = 0
    if qos_bits:
        position += 2
        if position > end:
            raise malformed("a PUBLISH shorter than its fields")
        packet_id = buffer[position - 2] << 8 | buffer[position - 1]
    elif position > end:
        raise malformed("a PUBLISH shorter than its fields")
    if qos_bits and not packet_id:
        raise PacketRefused(Refusal.PROTOCOL, "packet identifier 0 [MQTT-2.2.1-3]")
    if is_v5:
        reader = Reader(buffer, position, end)
        # Topic Alias Maximum is 0: any alias is one too many [MQTT-3.3.2-9].
        if TOPIC_ALIAS in reader.properties(IN_PUBLISH):
            raise PacketRefused(Refusal.TOPIC_ALIAS, "a topic alias")
        position = reader.position
    return topic, packet_id, position


def decode_topic(raw: bytes) -> str:
    """The topic name of a PUBLISH: UTF-8, no wildcard [MQTT-3.3.2-2], not empty [MQTT-4.7.3-1]."""
    topic = decode_text(raw)
    if not is_topic_name(topic):
        raise PacketRefused(Refusal.TOPIC, "a topic name that is empty or holds a wildcard")
    return topic


def decode_pubrel(buffer: bytes, start: int, end: int, *, is_v5: bool) -> int:
    """PUBREL (section 3.6): packet id."""
    reader = Reader(buffer, start, end)
    packet_id = reader.integer(2)
    if not packet_id:
        raise PacketRefused(Refusal.PROTOCOL, "packet identifier 0 [MQTT-2.2.1-3]")
    if is_v5 and not reader.at_end():
        reader.integer(1)
        if not reader.at_end():
            reader.properties(IN_PUBREL)
    if not reader.at_end():
        raise malformed("a PUBREL longer than its fields")
    return packet_id


def decode_disconnect(buffer: bytes, start: int, end: int, *, is_v5: bool) -> tuple[int, int | None]:
    """DISCONNECT (section 3.14): reason code, and the session expiry if it is set anew."""
    reader = Reader(buffer, start, end)
    if reader.at_end():
        return SUCCESS, None
    if not is_v5:
        raise malformed("a DISCONNECT with a body")
    reason_code = reader.integer(1)
    expiry = None if reader.at_end() else reader.properties(IN_DISCONNECT).get(SESSION_EXPIRY)
    if not reader.at_end():
        raise malformed("a DISCONNECT longer than its fields")
    assert expiry is None or isinstance(expiry, int)
    return reason_code, expiry


def packet(first: int, body: bytes) -> bytes:
    """A packet of this first byte: its fixed header (section 2.1), and the rest."""
    return bytes((first,)) + encode_varint(len(body)) + body


def encode_publish(topic: str, payload: bytes, *, is_retained: bool = False, is_v5: bool) -> bytes:
    """PUBLISH (section 3.3) at QoS 0, without properties."""
    return packet(0x30 | is_retained, encode_text(topic) + (b"\0" if is_v5 else b"") + payload)


def encode_connack(code: int, *, session_present: bool = False, properties: Properties | None = None) -> bytes:
    """CONNACK (section 3.2); MQTT 3.1.1 has no properties: None."""
    tail = b"" if properties is None else encode_properties(properties)
    return packet(0x20, bytes((session_present, code)) + tail)


def encode_puback(packet_id: int, reason_code: int = SUCCESS) -> bytes:
    """PUBACK (section 3.4); success leaves the reason code out (3.4.2.1), so both versions have the same bytes."""
    if reason_code == SUCCESS:
        return _ACK.pack(0x4002, packet_id)
    return b"\x40\x03" + packet_id.to_bytes(2, "big") + bytes((reason_code,))


def encode_pubacks(packet_ids: Iterable[int]) -> bytes:
    """A PUBACK of success for each."""
    words = array("H")
    for packet_id in packet_ids:
        words.extend((0x4002, packet_id))
    if sys.byteorder == "little":
        words.byteswap()
    return words.tobytes()


def encode_pubrec(packet_id: int) -> bytes:
    """PUBREC of success (section 3.5)."""
    return _ACK.pack(0x5002, packet_id)


def encode_pubcomp(packet_id: int, *, is_known: bool, is_v5: bool) -> bytes:
    """PUBCOMP (section 3.7); MQTT 5 says so of an id that was not taken over."""
    if is_known or not is_v5:
        return _ACK.pack(0x7002, packet_id)
    return packet(0x70, packet_id.to_bytes(2, "big") + bytes((_PACKET_ID_NOT_FOUND,)))


def encode_disconnect(reason_code: int) -> bytes:
    """DISCONNECT from the server (section 3.14), which only MQTT 5 has."""
    return packet(0xE0, bytes((reason_code,)))
