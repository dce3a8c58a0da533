"""Control packets as a client writes and reads them: CONNECT, SUBSCRIBE, and a server's answers; no I/O.

Section numbers are those of OASIS MQTT 5.0; MQTT 3.1.1 numbers the packets of chapter 3 alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from broker.packets import MQTT_5, packet
from broker.wire import (
    IN_CONNACK,
    IN_SUBACK,
    SERVER_KEEP_ALIVE,
    Properties,
    Reader,
    encode_properties,
    encode_text,
    malformed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

DISCONNECT: Final = b"\xe0\x00"
"""From a client, in either version: goodbye, and nothing else (section 3.14)."""
PINGREQ: Final = b"\xc0\x00"


def encode_connect(
    level: int, client_id: str, *, username: str, password: str, keep_alive_s: int, properties: Properties
) -> bytes:
    """CONNECT (section 3.1) for a session that lasts; MQTT 3.1.1 leaves the properties out."""
    flags = (0x80 | 0x40 * bool(password)) if username else 0
    body = encode_text("MQTT") + bytes((level, flags)) + keep_alive_s.to_bytes(2, "big")
    if level == MQTT_5:
        body += encode_properties(properties)
    body += encode_text(client_id)
    if username:
        body += encode_text(username) + (encode_text(password) if password else b"")
    return packet(0x10, body)


def encode_subscribe(packet_id: int, filters: Sequence[str], *, is_v5: bool) -> bytes:
    """SUBSCRIBE (section 3.8) at QoS 1."""
    body = packet_id.to_bytes(2, "big") + (b"\0" if is_v5 else b"")
    return packet(0x82, body + b"".join(encode_text(one) + b"\x01" for one in filters))


def decode_connack(buffer: bytes, start: int, end: int) -> tuple[int, int]:
    """CONNACK (section 3.2): its reason or return code, and the keep-alive that the server sets, or 0.

    A server of an earlier version answers with no properties, whatever version it was asked for.
    """
    reader = Reader(buffer, start, end)
    reader.integer(1)
    code = reader.integer(1)
    properties = {} if reader.at_end() else reader.properties(IN_CONNACK)
    keep_alive_s = properties.get(SERVER_KEEP_ALIVE, 0)
    assert isinstance(keep_alive_s, int)
    return code, keep_alive_s


def decode_suback(buffer: bytes, start: int, end: int, *, packet_id: int, filters: int, is_v5: bool) -> bytes:
    """SUBACK (section 3.9) to that SUBSCRIBE of so many filters: the code of each; from 0x80 on it is refused."""
    reader = Reader(buffer, start, end)
    if reader.integer(2) != packet_id:
        raise malformed("a SUBACK to a SUBSCRIBE that was not sent [MQTT-3.8.4-2]")
    if is_v5:
        reader.properties(IN_SUBACK)
    codes = reader.take(end - reader.position)
    if len(codes) != filters:
        raise malformed("a SUBACK without a code for each filter [MQTT-3.8.4-6]")
    return codes


_REASONS: Final = {
    0x01: "it does not speak this version of MQTT",
    0x02: "the client id is rejected",
    0x03: "it is unavailable",
    0x04: "wrong user name or password",
    0x05: "not authorized",
    0x80: "it does not say why",
    0x84: "it does not speak this version of MQTT",
    0x85: "the client id is rejected",
    0x86: "wrong user name or password",
    0x87: "not authorized",
    0x88: "it is unavailable",
    0x89: "it is busy",
    0x8A: "this client is banned",
    0x8B: "it is shutting down",
    0x8D: "keep-alive timeout",
    0x8E: "another client connected under this client id",
    0x8F: "a topic filter is not valid",
    0x97: "a quota is exceeded",
    0x9F: "too many connections a second",
}


def reason(code: int) -> str:
    """What a return code (3.1.1, section 3.2.2.3) or reason code (5.0, section 2.4) says, for a log."""
    return _REASONS.get(code, f"reason {code:#04x}")
