"""What one client has subscribed to, and what is answered to its SUBSCRIBE and UNSUBSCRIBE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from broker.command_topics import KEPT
from broker.packets import encode_publish
from broker.refusals import Refusal
from broker.subscribe_packets import (
    RETAIN_ALWAYS,
    RETAIN_IF_NEW,
    SHARED,
    Wanted,
    encode_suback,
    encode_unsuback,
)
from broker.topics import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HIGHEST_QOS: Final = 1
_MOST: Final = 1_000
_REFUSED_3_1_1: Final = 0x80
_QUOTA_EXCEEDED: Final = 0x97
_SHARED_UNAVAILABLE: Final = 0x9E
_DELETED: Final = b"\x00"
_NONE_EXISTED: Final = b"\x11"


class Answer(NamedTuple):
    """What is to be sent for a SUBSCRIBE, in this order, and how many of its filters were refused."""

    suback: bytes
    retained: list[bytes]
    refused: int


class Subscriptions:
    """The granted filters of one session: they outlive the connection with it.

    Nothing is forwarded to them: they bring what is kept, once, and requests of the listener's owner; else they keep a
    device content that waits for commands.
    """

    def __init__(self) -> None:
        self._granted: set[str] = set()

    def subscribe(
        self, packet_id: int, wanted: Sequence[Wanted], may_subscribe: Callable[[str], bool], *, is_v5: bool
    ) -> Answer:
        """Grant or refuse each filter by itself; the connection goes on either way."""
        codes, retained, refused = bytearray(), [], 0
        for one in wanted:
            code = self._code(one, may_subscribe, is_v5=is_v5)
            codes.append(code)
            if code > _HIGHEST_QOS:
                refused += 1
                continue
            is_new = one.topic_filter not in self._granted
            self._granted.add(one.topic_filter)
            if one.retain_handling == RETAIN_ALWAYS or (one.retain_handling == RETAIN_IF_NEW and is_new):
                kept = [topic for topic in KEPT if matches(one.topic_filter, topic)]  # with its flag [MQTT-3.3.1-8]
                retained += [encode_publish(topic, KEPT[topic], is_retained=True, is_v5=is_v5) for topic in kept]
        return Answer(encode_suback(packet_id, bytes(codes), is_v5=is_v5), retained, refused)

    def takes_in(self, topic: str) -> bool:
        """Whether a message to this topic was subscribed to."""
        return any(matches(one, topic) for one in self._granted)

    def unsubscribe(self, packet_id: int, filters: Sequence[str], *, is_v5: bool) -> bytes:
        """UNSUBACK, whether or not there was such a subscription [MQTT-3.10.4-5]."""
        codes = b""
        for topic_filter in filters:
            codes += _DELETED if topic_filter in self._granted else _NONE_EXISTED
            self._granted.discard(topic_filter)
        return encode_unsuback(packet_id, codes, is_v5=is_v5)

    def _code(self, wanted: Wanted, may_subscribe: Callable[[str], bool], *, is_v5: bool) -> int:
        """The QoS granted, or from 0x80 on why not (table 3-8); MQTT 3.1.1 has one word for every reason."""
        if is_v5 and wanted.topic_filter.startswith(SHARED):
            return _SHARED_UNAVAILABLE
        if not may_subscribe(wanted.topic_filter):
            return Refusal.SUBSCRIPTION.reason_code if is_v5 else _REFUSED_3_1_1
        if len(self._granted) >= _MOST and wanted.topic_filter not in self._granted:
            return _QUOTA_EXCEEDED if is_v5 else _REFUSED_3_1_1
        return min(wanted.qos, _HIGHEST_QOS)
