"""SUBSCRIBE and UNSUBSCRIBE with their answers, as a server reads and writes them; no I/O.

Section numbers are those of OASIS MQTT 5.0; MQTT 3.1.1 numbers the packets of chapter 3 alike.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from broker.packets import packet
from broker.refusals import PacketRefused, Refusal
from broker.topics import is_topic_filter
from broker.wire import IN_SUBSCRIBE, IN_UNSUBSCRIBE, SUBSCRIPTION_IDENTIFIER, Reader, malformed

SHARED: Final = "$share/"
"""How the filter of a shared subscription begins (section 4.8.2)."""
RETAIN_ALWAYS: Final = 0
RETAIN_IF_NEW: Final = 1

_NO_LOCAL: Final = 0x04
# MQTT 5 reserves bits 6 and 7 of the options [MQTT-3.8.3-5], MQTT 3.1.1 bits 2 to 7 [MQTT-3.8.3-4].
_RESERVED_5: Final = 0xC0
_RESERVED_3_1_1: Final = 0xFC


class Wanted(NamedTuple):
    """One topic filter of a SUBSCRIBE, with what its options ask for (section 3.8.3.1)."""

    topic_filter: str
    qos: int
    retain_handling: int


def decode_subscribe(buffer: bytes, start: int, end: int, *, is_v5: bool) -> tuple[int, list[Wanted]]:
    """SUBSCRIBE (section 3.8): packet id, and what it asks for."""
    reader, packet_id = _begin(buffer, start, end)
    if is_v5 and SUBSCRIPTION_IDENTIFIER in reader.properties(IN_SUBSCRIBE):
        raise PacketRefused(Refusal.SUBSCRIPTION_IDENTIFIER, "a subscription identifier, announced as unavailable")
    wanted: list[Wanted] = []
    while not reader.at_end():
        topic_filter = _filter(reader)
        wanted.append(_wanted(topic_filter, reader.integer(1), is_v5=is_v5))
    if not wanted:
        raise PacketRefused(Refusal.PROTOCOL, "a SUBSCRIBE without a filter [MQTT-3.8.3-2]")
    return packet_id, wanted


def decode_unsubscribe(buffer: bytes, start: int, end: int, *, is_v5: bool) -> tuple[int, list[str]]:
    """UNSUBSCRIBE (section 3.10): packet id, and the filters it names."""
    reader, packet_id = _begin(buffer, start, end)
    if is_v5:
        reader.properties(IN_UNSUBSCRIBE)
    filters: list[str] = []
    while not reader.at_end():
        filters.append(_filter(reader))
    if not filters:
        raise PacketRefused(Refusal.PROTOCOL, "an UNSUBSCRIBE without a filter [MQTT-3.10.3-2]")
    return packet_id, filters


def encode_suback(packet_id: int, codes: bytes, *, is_v5: bool) -> bytes:
    """SUBACK (section 3.9): a code for each filter, in their order [MQTT-3.9.3-1]."""
    return packet(0x90, packet_id.to_bytes(2, "big") + (b"\0" if is_v5 else b"") + codes)


def encode_unsuback(packet_id: int, codes: bytes, *, is_v5: bool) -> bytes:
    """UNSUBACK (section 3.11); MQTT 3.1.1 has no codes."""
    return packet(0xB0, packet_id.to_bytes(2, "big") + (b"\0" + codes if is_v5 else b""))


def _begin(buffer: bytes, start: int, end: int) -> tuple[Reader, int]:
    reader = Reader(buffer, start, end)
    packet_id = reader.integer(2)
    if not packet_id:
        raise PacketRefused(Refusal.PROTOCOL, "packet identifier 0 [MQTT-2.2.1-3]")
    return reader, packet_id


def _filter(reader: Reader) -> str:
    topic_filter = reader.text()
    if not is_topic_filter(topic_filter):
        raise PacketRefused(Refusal.TOPIC, "a topic filter that cannot be")
    return topic_filter


def _wanted(topic_filter: str, options: int, *, is_v5: bool) -> Wanted:
    qos, retain_handling = options & 0x03, options >> 4 & 0x03
    if options & (_RESERVED_5 if is_v5 else _RESERVED_3_1_1) or qos == 3:
        raise malformed("subscription options that cannot be")
    if retain_handling == 3:
        raise PacketRefused(Refusal.PROTOCOL, "retain handling 3 [section 3.8.3.1]")
    if is_v5 and options & _NO_LOCAL and topic_filter.startswith(SHARED):
        raise PacketRefused(Refusal.PROTOCOL, "a shared subscription with No Local [MQTT-3.8.3-4]")
    return Wanted(topic_filter, qos, retain_handling)
