"""The subscriber's side as a state machine: what it sends, what it takes in, and a broker that misbehaves."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.packets import MQTT_3_1_1, MQTT_5
from broker.publications import Publication
from broker.subscription import Heard, Login, Subscription
from tests.broker import device
from tests.broker.device import packet, publish, text

if TYPE_CHECKING:
    from collections.abc import Iterable

LOGIN = Login(client_id="edge", topics=("a/#", "b"), username="u", password="p", keep_alive_s=30, max_packet_bytes=2048)
CONNACK = {MQTT_3_1_1: packet(0x20, b"\0\0"), MQTT_5: packet(0x20, b"\1\0\0")}
SUBACK = {MQTT_3_1_1: packet(0x90, b"\0\1\1\1"), MQTT_5: packet(0x90, b"\0\1\0\1\1")}
LEVELS = pytest.mark.parametrize("level", [MQTT_3_1_1, MQTT_5])


def drive(level: int, chunks: Iterable[bytes]) -> Heard:
    """Feed a subscription until it ends; everything it heard."""
    subscription, all_of_it = Subscription(LOGIN, level, 0.0), Heard()
    for chunk in chunks:
        heard = subscription.receive(chunk, 1.0)
        all_of_it.publications += heard.publications
        all_of_it.reply += heard.reply
        all_of_it.subscribed |= heard.subscribed
        all_of_it.other_version |= heard.other_version
        all_of_it.ended = heard.ended
        if heard.ended:
            break
    return all_of_it


def opened(level: int) -> Subscription:
    subscription = Subscription(LOGIN, level, 0.0)
    assert subscription.receive(CONNACK[level] + SUBACK[level], 0.0).subscribed
    return subscription


def properties(level: int) -> bytes | None:
    return b"" if level == MQTT_5 else None


def test_connect_asks_for_a_session_that_lasts() -> None:
    """Section 3.1, byte by byte: flags without clean start; in MQTT 5 expiry, Receive Maximum and packet size."""
    tail = text("edge") + text("u") + text("p")
    head = text("MQTT") + b"\x04\xc0\0\x1e"
    assert Subscription(LOGIN, MQTT_3_1_1, 0.0).connect() == packet(0x10, head + tail)
    asked = b"\x11" + struct.pack(">I", 7 * 86_400) + b"\x21\x03\xe8\x27" + struct.pack(">I", 2048)
    head = text("MQTT") + b"\x05\xc0\0\x1e" + bytes((len(asked),)) + asked
    assert Subscription(LOGIN, MQTT_5, 0.0).connect() == packet(0x10, head + tail)


@LEVELS
def test_every_topic_is_asked_for_at_qos_1(level: int) -> None:
    """After CONNACK, and not before."""
    heard = drive(level, [CONNACK[level]])
    mark = b"\0" if level == MQTT_5 else b""
    assert heard.reply == packet(0x82, b"\0\1" + mark + text("a/#") + b"\1" + text("b") + b"\1")
    assert not heard.subscribed


@LEVELS
def test_publications_come_with_their_marks_and_are_acknowledged_when_told(level: int) -> None:
    """Also those of an earlier connection, which come before the SUBACK."""
    none = properties(level)
    subscription = Subscription(LOGIN, level, 0.0)
    again = publish("a/1", b"x", packet_id=7, dup=True, properties=none)
    fresh = publish("a/2", b"y", packet_id=513, properties=none) + publish("b", b"z", retain=True, properties=none)
    first = subscription.receive(CONNACK[level] + again, 0.0)
    second = subscription.receive(SUBACK[level] + fresh, 0.0)
    assert first.publications == [Publication("a/1", b"x", 7, duplicate=True)]
    assert second.publications == [Publication("a/2", b"y", 513), Publication("b", b"z", retained=True)]
    assert subscription.acknowledge([7, 513], 1.0) == b"\x40\x02\0\x07\x40\x02\x02\x01"


@LEVELS
@given(cuts=st.lists(st.integers(0, 400), max_size=8), payloads=st.lists(st.binary(max_size=60), max_size=6))
def test_pieces_do_not_matter(level: int, cuts: list[int], payloads: list[bytes]) -> None:
    """TCP cuts where it likes."""
    none = properties(level)
    stream = CONNACK[level] + SUBACK[level]
    stream += b"".join(publish("a/1", one, packet_id=n + 1, properties=none) for n, one in enumerate(payloads))
    edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert drive(level, pieces) == drive(level, [stream])
    assert [one.payload for one in drive(level, pieces).publications] == payloads


@LEVELS
@given(garbage=st.binary(min_size=1, max_size=400), greeted=st.booleans())
def test_garbage_ends_the_connection_or_waits(level: int, garbage: bytes, greeted: bool) -> None:
    """Never an exception, never more kept than one packet may be long."""
    subscription = Subscription(LOGIN, level, 0.0)
    if greeted:
        subscription.receive(CONNACK[level] + SUBACK[level], 0.0)
    heard = subscription.receive(garbage, 1.0)
    assert heard.ended or len(subscription._pending) <= LOGIN.max_packet_bytes


@pytest.mark.parametrize(
    ("level", "sent", "said"),
    [
        (4, packet(0x20, b"\0\5"), "the broker refuses the connection: not authorized"),
        (5, packet(0x20, b"\0\x86\0"), "the broker refuses the connection: wrong user name or password"),
        (5, packet(0x20, b"\0\x99\0"), "the broker refuses the connection: reason 0x99"),
        (4, CONNACK[4] + packet(0x90, b"\0\1\1\x80"), "the broker refuses the subscription: it does not say why"),
        (5, CONNACK[5] + packet(0x90, b"\0\1\0\1\x87"), "the broker refuses the subscription: not authorized"),
        (4, CONNACK[4] + packet(0x90, b"\0\1\1\0"), "the broker does not grant QoS 1"),
        (5, CONNACK[5] + packet(0x90, b"\0\1\0\2\1"), "the broker does not grant QoS 1"),
        (4, CONNACK[4] + packet(0x90, b"\0\1\1"), "forbids"),
        (5, CONNACK[5] + packet(0x90, b"\0\2\0\1\1"), "forbids"),
        (5, CONNACK[5] + packet(0xE0, b"\x8b\0"), "the broker ends the connection: it is shutting down"),
        (4, CONNACK[4] + packet(0xE0), "forbids"),
        (4, publish("a/1", b"x", packet_id=1), "forbids"),
        (4, CONNACK[4] + SUBACK[4] + packet(0x34, text("a/1") + b"\0\1x"), "forbids"),
        (4, CONNACK[4] + SUBACK[4] + packet(0x30, text("a/#") + b"x"), "forbids"),
        (5, CONNACK[5] + SUBACK[5] + publish("", b"x", packet_id=1, properties=b"\x23\0\1"), "forbids"),
        (4, CONNACK[4] + SUBACK[4] + packet(0x30, text("a/1") + bytes(3000)), "forbids"),
        (4, CONNACK[4] + CONNACK[4], "forbids"),
        (4, device.connect(), "forbids"),
    ],
)
def test_a_broker_that_refuses_or_misbehaves_is_left_with_the_reason(level: int, sent: bytes, said: str) -> None:
    """In words for a log, without anything of a message."""
    assert said in drive(level, [sent]).ended


@pytest.mark.parametrize("answer", [packet(0x20, b"\0\1"), packet(0x20, b"\0\x84\0")])
def test_a_broker_of_another_version_says_so(answer: bytes) -> None:
    """In the words of 3.1.1, which has no properties, or of 5.0."""
    assert drive(MQTT_5, [answer]).other_version


def test_a_broker_that_falls_silent_may_be_of_another_version() -> None:
    """No CONNACK in five seconds: the other version is tried. No SUBACK: it speaks ours, and is left all the same."""
    subscription = Subscription(LOGIN, MQTT_5, 0.0)
    assert not subscription.tick(5.0).ended
    assert subscription.tick(5.1) == Heard(ended="the broker does not answer", other_version=True)
    subscription.receive(CONNACK[MQTT_5], 5.2)
    assert subscription.tick(5.3) == Heard(ended="the broker does not answer")


def test_the_connection_is_kept_alive() -> None:
    """A ping after half the keep-alive without a word of ours; a broker that does not answer it is gone."""
    subscription = opened(MQTT_3_1_1)
    assert subscription.tick(14.9).reply == b""
    subscription.acknowledge([1], 14.0)
    assert subscription.tick(28.9).reply == b""
    assert subscription.tick(29.0).reply == device.PINGREQ
    subscription.receive(device.PINGRESP, 30.0)
    assert not subscription.tick(43.0).ended
    assert subscription.tick(44.0).reply == device.PINGREQ
    assert subscription.tick(59.0) == Heard()
    assert subscription.tick(59.1).ended == "the broker does not answer"


def test_the_connection_is_kept_alive_while_nothing_is_read() -> None:
    """A ping is due as ever, and no answer to it: that is read later, or never."""
    subscription = opened(MQTT_3_1_1)
    assert subscription.keep_alive(14.9) == b""
    assert [subscription.keep_alive(now) for now in (15.0, 29.9, 30.0)] == [device.PINGREQ, b"", device.PINGREQ]
    subscription.resume(31.0)
    assert not subscription.receive(device.PINGRESP * 2, 31.0).ended
    assert subscription.tick(44.9) == Heard()


@LEVELS
def test_a_request_goes_at_qos_0_and_counts_as_a_word_of_ours(level: int) -> None:
    """Not retained; no ping is due for half a keep-alive after it."""
    subscription = opened(level)
    assert subscription.publish("c/1", b"x", 10.0) == publish("c/1", b"x", properties=properties(level))
    assert subscription.tick(24.9).reply == b""
    assert subscription.tick(25.0).reply == device.PINGREQ


def test_the_brokers_keep_alive_counts() -> None:
    """Server Keep Alive (section 3.2.2.3.14)."""
    subscription = Subscription(LOGIN, MQTT_5, 0.0)
    subscription.receive(packet(0x20, b"\0\0\x03\x13\0\x0a") + SUBACK[MQTT_5], 0.0)
    assert subscription.tick(5.0).reply == device.PINGREQ
