"""MQTT's data representations: variable byte integers, UTF-8 strings, binary data, MQTT 5 properties.

Sources: OASIS MQTT 3.1.1 section 1.5 and OASIS MQTT 5.0 sections 1.5 and 2.2.2.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from broker.refusals import PacketRefused, Refusal

Property: TypeAlias = int | str | bytes
Properties: TypeAlias = dict[int, Property]

PAYLOAD_FORMAT: Final = 0x01
MESSAGE_EXPIRY: Final = 0x02
CONTENT_TYPE: Final = 0x03
RESPONSE_TOPIC: Final = 0x08
CORRELATION_DATA: Final = 0x09
SUBSCRIPTION_IDENTIFIER: Final = 0x0B
SESSION_EXPIRY: Final = 0x11
ASSIGNED_CLIENT_IDENTIFIER: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
AUTHENTICATION_METHOD: Final = 0x15
AUTHENTICATION_DATA: Final = 0x16
REQUEST_PROBLEM: Final = 0x17
WILL_DELAY: Final = 0x18
REQUEST_RESPONSE: Final = 0x19
RESPONSE_INFORMATION: Final = 0x1A
SERVER_REFERENCE: Final = 0x1C
REASON_STRING: Final = 0x1F
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS_MAXIMUM: Final = 0x22
TOPIC_ALIAS: Final = 0x23
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
USER_PROPERTY: Final = 0x26
MAXIMUM_PACKET_SIZE: Final = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE: Final = 0x28
SUBSCRIPTION_IDENTIFIERS_AVAILABLE: Final = 0x29
SHARED_SUBSCRIPTION_AVAILABLE: Final = 0x2A

# MQTT 5 table 2-4: which properties may stand where.
_APPLICATION_MESSAGE: Final = frozenset(
    (PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY)
)
IN_PUBLISH: Final = _APPLICATION_MESSAGE | {TOPIC_ALIAS}
IN_WILL: Final = _APPLICATION_MESSAGE | {WILL_DELAY}
IN_CONNECT: Final = frozenset(
    (
        SESSION_EXPIRY,
        AUTHENTICATION_METHOD,
        AUTHENTICATION_DATA,
        REQUEST_PROBLEM,
        REQUEST_RESPONSE,
        RECEIVE_MAXIMUM,
        TOPIC_ALIAS_MAXIMUM,
        USER_PROPERTY,
        MAXIMUM_PACKET_SIZE,
    )
)
IN_SUBSCRIBE: Final = frozenset((SUBSCRIPTION_IDENTIFIER, USER_PROPERTY))
IN_UNSUBSCRIBE: Final = frozenset((USER_PROPERTY,))
IN_DISCONNECT: Final = frozenset((SESSION_EXPIRY, REASON_STRING, SERVER_REFERENCE, USER_PROPERTY))
IN_CONNACK: Final = frozenset(
    (
        SESSION_EXPIRY,
        ASSIGNED_CLIENT_IDENTIFIER,
        SERVER_KEEP_ALIVE,
        AUTHENTICATION_METHOD,
        AUTHENTICATION_DATA,
        RESPONSE_INFORMATION,
        SERVER_REFERENCE,
        REASON_STRING,
        RECEIVE_MAXIMUM,
        TOPIC_ALIAS_MAXIMUM,
        MAXIMUM_QOS,
        RETAIN_AVAILABLE,
        USER_PROPERTY,
        MAXIMUM_PACKET_SIZE,
        WILDCARD_SUBSCRIPTION_AVAILABLE,
        SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
        SHARED_SUBSCRIPTION_AVAILABLE,
    )
)
IN_PUBREL: Final = frozenset((REASON_STRING, USER_PROPERTY))
IN_SUBACK: Final = frozenset((REASON_STRING, USER_PROPERTY))

_BOOLEANS: Final = frozenset((PAYLOAD_FORMAT, REQUEST_PROBLEM, REQUEST_RESPONSE))
_FIXED: Final = {
    PAYLOAD_FORMAT: 1,
    MESSAGE_EXPIRY: 4,
    SESSION_EXPIRY: 4,
    SERVER_KEEP_ALIVE: 2,
    REQUEST_PROBLEM: 1,
    WILL_DELAY: 4,
    REQUEST_RESPONSE: 1,
    RECEIVE_MAXIMUM: 2,
    TOPIC_ALIAS_MAXIMUM: 2,
    TOPIC_ALIAS: 2,
    MAXIMUM_QOS: 1,
    RETAIN_AVAILABLE: 1,
    MAXIMUM_PACKET_SIZE: 4,
    WILDCARD_SUBSCRIPTION_AVAILABLE: 1,
    SUBSCRIPTION_IDENTIFIERS_AVAILABLE: 1,
    SHARED_SUBSCRIPTION_AVAILABLE: 1,
}
_STRINGS: Final = frozenset(
    (
        CONTENT_TYPE,
        RESPONSE_TOPIC,
        ASSIGNED_CLIENT_IDENTIFIER,
        AUTHENTICATION_METHOD,
        RESPONSE_INFORMATION,
        SERVER_REFERENCE,
        REASON_STRING,
    )
)
_NEVER_ZERO: Final = frozenset((RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE, SUBSCRIPTION_IDENTIFIER))


def malformed(what: str) -> PacketRefused:
    """The error for bytes that are no packet (MQTT 5 section 4.13)."""
    return PacketRefused(Refusal.MALFORMED, what)


def encode_varint(value: int) -> bytes:
    """A variable byte integer (MQTT 5 section 1.5.5), in the fewest bytes [MQTT-1.5.5-1]."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_varint(buffer: bytes, position: int, end: int) -> tuple[int, int] | None:
    """The value and where it ended; None when `end` cuts it off. Raises `PacketRefused` on a fifth byte."""
    value = 0
    for index in range(4):
        if position + index >= end:
            return None
        byte = buffer[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise malformed("a variable byte integer of more than four bytes")


def decode_text(raw: bytes) -> str:
    """A UTF-8 string (section 1.5.4): no surrogates [MQTT-1.5.4-1], no U+0000 [MQTT-1.5.4-2]."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise malformed("a string that is not UTF-8") from None
    if "\0" in text:
        raise malformed("a string with U+0000")
    return text


def encode_text(text: str) -> bytes:
    """A UTF-8 string with its length."""
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


class Reader:
    """Walks through one packet; reading past its end is `PacketRefused`, never an IndexError."""

    __slots__ = ("_buffer", "_end", "_position")

    def __init__(self, buffer: bytes, position: int, end: int) -> None:
        self._buffer = buffer
        self._position = position
        self._end = end

    @property
    def position(self) -> int:
        """Where the next byte is read."""
        return self._position

    def at_end(self) -> bool:
        """Whether the packet has been read to its end."""
        return self._position >= self._end

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, self._position = self._position, self._position + count
        if self._position > self._end:
            raise malformed("a packet shorter than its fields")
        return self._buffer[start : self._position]

    def integer(self, size: int) -> int:
        """A big-endian integer."""
        return int.from_bytes(self.take(size), "big")

    def binary(self) -> bytes:
        """Binary data with its length (MQTT 5 section 1.5.6)."""
        return self.take(self.integer(2))

    def text(self) -> str:
        """A UTF-8 string with its length."""
        return decode_text(self.binary())

    def varint(self) -> int:
        """A variable byte integer."""
        decoded = decode_varint(self._buffer, self._position, self._end)
        if decoded is None:
            raise malformed("a packet shorter than its fields")
        value, self._position = decoded
        return value

    def properties(self, allowed: frozenset[int]) -> Properties:
        """MQTT 5 properties; those that are foreign to the packet, or there twice, are refused (2.2.2.2)."""
        length = self.varint()
        inner = Reader(self._buffer, self._position, self._position + length)
        if length > self._end - self._position:
            raise malformed("properties longer than their packet")
        self._position += length
        found: Properties = {}
        while not inner.at_end():
            identifier = inner.varint()
            if identifier not in allowed:
                raise malformed("a property that has no place in this packet")
            if identifier in found and identifier != USER_PROPERTY:
                raise PacketRefused(Refusal.PROTOCOL, "a property that is there twice")
            found[identifier] = inner.property_value(identifier)
        return found

    def property_value(self, identifier: int) -> Property:
        """The value of one property, checked for its range; a user property is read over and forgotten."""
        if identifier == USER_PROPERTY:
            self.text()
            self.text()
            return b""
        if identifier in _STRINGS:
            return self.text()
        if identifier not in _FIXED and identifier != SUBSCRIPTION_IDENTIFIER:
            return self.binary()
        value = self.varint() if identifier == SUBSCRIPTION_IDENTIFIER else self.integer(_FIXED[identifier])
        if (identifier in _BOOLEANS and value > 1) or (identifier in _NEVER_ZERO and value == 0):
            raise PacketRefused(Refusal.PROTOCOL, "a property outside its range")
        return value


def encode_properties(properties: Properties) -> bytes:
    """Properties with their length, in the order given."""
    parts = []
    for identifier, value in properties.items():
        match value:
            case int():
                encoded = value.to_bytes(_FIXED[identifier], "big")
            case str():
                encoded = encode_text(value)
            case bytes():
                encoded = len(value).to_bytes(2, "big") + value
        parts.append(bytes((identifier,)) + encoded)
    body = b"".join(parts)
    return encode_varint(len(body)) + body
