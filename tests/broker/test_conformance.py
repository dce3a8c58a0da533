"""What the OASIS standards ask of the listener and no other test holds; docs/mqtt-conformance.md names them all."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from broker.exchanges import Exchanges
from broker.lasting_sessions import LastingSessions
from broker.limits import Limits
from broker.packets import PINGRESP
from broker.refusals import Refusal
from broker.session import Session
from broker.session_state import SessionState
from broker.topics import matches
from tests.broker.device import (
    DISCONNECT,
    PINGREQ,
    connect,
    packet,
    puback,
    publish,
    subscribe,
    text,
    unsubscribe,
)
from tests.broker.sans_io import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.broker.conftest import Listen

BOTH = pytest.mark.parametrize("level", [4, 5])
NOT_UTF_8: Final = b"x\xff"
WITH_NUL: Final = b"x\0"


def opened(level: int) -> Session:
    """A session whose client is known and not admitted."""
    session = Session(Limits(), 0.0)
    session.receive(connect(level=level), 0.0)
    return session


def raw_connect(level: int, flags: int, *fields: bytes) -> bytes:
    """CONNECT with these flags and fields, whether or not they belong together."""
    head = text("MQTT") + bytes((level, flags)) + b"\0\0" + (b"\0" if level == 5 else b"")
    return packet(0x10, head + b"".join(fields))


def none_of(level: int) -> bytes | None:
    """No properties, in each version's way."""
    return b"" if level == 5 else None


# Strings, in every field that has one


def bad_strings(level: int, bad: bytes) -> Iterator[tuple[str, bytes]]:
    will_properties = b"\0" if level == 5 else b""
    yield "client id", raw_connect(level, 0x02, text(bad))
    yield "user name", raw_connect(level, 0x82, text("c"), text(bad))
    yield "will topic", raw_connect(level, 0x06, text("c"), will_properties + text(bad), text("gone"))
    first = connect(level=level)
    yield "topic", first + publish(bad, properties=none_of(level))
    is_v5 = level == 5
    yield "filter", first + packet(0x82, b"\0\1" + (b"\0" if is_v5 else b"") + text(bad) + b"\0")
    yield "filter to end", first + packet(0xA2, b"\0\1" + (b"\0" if is_v5 else b"") + text(bad))
    if is_v5:
        for name, identifier in (("content type", 0x03), ("response topic", 0x08)):
            yield name, first + publish(properties=bytes((identifier,)) + text(bad))
        yield "user property's name", first + publish(properties=b"\x26" + text(bad) + text("v"))
        yield "user property's value", first + publish(properties=b"\x26" + text("k") + text(bad))
        yield "user property of CONNECT", connect(level=5, properties=b"\x26" + text("k") + text(bad))


@BOTH
@pytest.mark.parametrize("bad", [NOT_UTF_8, WITH_NUL, b"\xed\xa0\x80"], ids=["not UTF-8", "U+0000", "surrogate"])
def test_a_string_that_cannot_be_ends_the_connection(level: int, bad: bytes) -> None:
    for name, sent in bad_strings(level, bad):
        session = Session(Limits(), 0.0)
        outcome = session.receive(sent, 0.0)
        if outcome.login is not None:
            outcome = Peer(level).send(sent[len(connect(level=level)) :])
        assert outcome.refusal is Refusal.MALFORMED, name
        assert outcome.ended, name


@BOTH
def test_u_feff_is_a_character_like_any_other(level: int) -> None:
    outcome = Peer(level).send(publish("t/\ufeff", properties=none_of(level)))
    assert [one.topic for one in outcome.publications] == ["t/\ufeff"]


@BOTH
def test_a_topic_may_have_65_535_bytes(level: int) -> None:
    topic = "t/" + "x" * 65_533
    peer = Peer(level, limits=Limits(max_packet_bytes=70_000))
    assert [one.topic for one in peer.send(publish(topic, properties=none_of(level))).publications] == [topic]


def test_topics_are_compared_as_they_are() -> None:
    """Neither case nor Unicode normalization: U+00E9 is not U+0065 U+0301."""
    composed, apart = "t/\u00e9", "t/e\u0301"
    assert matches(composed, composed)
    assert not matches(composed, apart)
    assert not matches("t/a", "t/A")
    peer = Peer(5)
    peer.send(subscribe("t/\u00e9/set", is_v5=True))
    assert peer.send(unsubscribe("t/e\u0301/set", is_v5=True)).reply == packet(0xB0, b"\0\x09\0\x11")


# CONNECT and CONNACK


@BOTH
@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        (0x02, ()),
        (0x06, ("c",)),
        (0x06, ("c", "t/w")),
        (0x82, ("c",)),
        (0xC2, ("c", "user")),
        (0x02, ("c", "t/w", "gone")),
        (0x02, ("c", "user")),
        (0x82, ("c", "user", "password")),
    ],
)
def test_the_fields_of_connect_are_those_of_its_flags(level: int, flags: int, fields: tuple[str, ...]) -> None:
    """Missing ones and surplus ones both."""
    parts = [text(field) for field in fields]
    if flags & 0x04 and level == 5 and len(parts) > 1:
        parts[1] = b"\0" + parts[1]
    outcome = Session(Limits(), 0.0).receive(raw_connect(level, flags, *parts), 0.0)
    assert outcome.refusal is Refusal.MALFORMED


@BOTH
def test_the_fields_of_connect_come_in_their_order(level: int) -> None:
    sent = connect("id", level=level, will=("t/w", b"gone", 0), username="user", password=b"word")
    login = Session(Limits(), 0.0).receive(sent, 0.0).login
    assert login is not None
    assert login.will is not None
    assert (login.client_id, login.will.topic, login.username, login.password) == ("id", "t/w", "user", b"word")


@BOTH
@pytest.mark.parametrize("client_id", ["0", "Aa9", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ"])
def test_client_ids_of_up_to_23_letters_and_digits_are_allowed(level: int, client_id: str) -> None:
    login = Session(Limits(), 0.0).receive(connect(client_id, level=level), 0.0).login
    assert login is not None
    assert login.client_id == client_id


@BOTH
async def test_a_client_without_an_id_is_given_one_of_its_own(listen: Listen, level: int) -> None:
    running = await listen()
    given = []
    for _ in range(3):
        device = await running.dial()
        await device.send(connect("", level=level) + publish(packet_id=1, properties=none_of(level)))
        given.append((await device.read_packet())[1])
    await running.count(3)
    sessions = {one.session for one in running.tokens}
    assert len(sessions) == 3
    if level == 5:
        names = [session.partition("/")[2].encode() for session in sessions]
        assert all(any(b"\x12" + struct.pack(">H", len(name)) + name in one for one in given) for name in names)


@BOTH
async def test_two_logins_with_one_client_id_have_two_sessions(listen: Listen, level: int) -> None:
    running = await listen()
    for username, password in (("sensor", b"secret"), ("mute", b"silent")):
        device = await running.dial()
        await device.send(connect("same", level=level, username=username, password=password))
        assert (await device.read_packet())[1][1] == 0
    assert running.listener.counters["connections"] == 2


@BOTH
def test_connack_comes_first_and_once(level: int) -> None:
    peer = Peer(level)
    assert peer.greeting.reply[0] == 0x20
    assert peer.greeting.reply[2] in (0, 1), "bits 7 to 1 of its flags"
    assert b"\x20" not in peer.send(PINGREQ, publish(packet_id=1, properties=none_of(level))).reply
    second = peer.send(connect(level=level))
    assert second.ended
    assert second.reply == (packet(0xE0, b"\x82") if level == 5 else b"")


def test_behind_connect_everything_waits_for_the_connack() -> None:
    session = opened(5)
    outcome = session.receive(PINGREQ + publish(packet_id=1, properties=b""), 0.0)
    assert (outcome.reply, outcome.publications) == (b"", [])


@BOTH
async def test_a_refusal_says_that_no_session_is_present(listen: Listen, level: int) -> None:
    running = await listen(remembered={"sensor/p": ()})
    device = await running.dial()
    await device.send(connect("p", level=level, clean=False, password=b"wrong"))
    answer = await device.read_to_end()
    assert (answer[0], answer[2]) == (0x20, 0)


# MQTT 5 tables 3-1, 3-4, 3-8, 3-9 and 3-13; MQTT 3.1.1 tables 3.1 and 3.4
CONNACK_5: Final = frozenset((0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F))
DISCONNECT_5: Final = frozenset(
    (0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, *range(0x93, 0xA3))
)
CONNACK_3_1_1: Final = frozenset(range(6))
ONLY_BEFORE_CONNACK: Final = frozenset(
    (Refusal.PROTOCOL_VERSION, Refusal.CLIENT_ID, Refusal.CREDENTIALS, Refusal.AUTHENTICATION_METHOD)
)


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.word)
def test_every_refusal_has_a_code_of_its_packet(refusal: Refusal) -> None:
    """A CONNACK before the client is admitted, a DISCONNECT after; never the other way round."""
    connack = opened(5).refuse(refusal)
    assert connack[0] == 0x20
    assert connack[3] in CONNACK_5 - {0}
    old = opened(4).refuse(refusal)
    assert old == b"" or (old[0], old[3] in CONNACK_3_1_1 - {0}) == (0x20, True)
    if refusal not in ONLY_BEFORE_CONNACK:
        disconnect = Peer(5).session.refuse(refusal)
        assert disconnect == packet(0xE0, disconnect[2:])
        assert disconnect[2] in DISCONNECT_5 - {0}
    assert Peer(4).session.refuse(refusal) == b"", "MQTT 3.1.1 has no DISCONNECT from a server"


@BOTH
def test_answers_have_the_codes_of_their_tables(level: int) -> None:
    peer = Peer(level)
    filters = ("t/set", "other", "$share/g/t/set")
    suback = peer.send(subscribe(*filters, is_v5=peer.is_v5)).reply
    allowed = {0, 1, 2, 0x80, 0x87, 0x97, 0x9E} if level == 5 else {0, 1, 2, 0x80}
    assert set(suback[-3:]) <= allowed
    unsuback = peer.send(unsubscribe(*filters, is_v5=peer.is_v5)).reply
    assert unsuback[-3:] == b"\0\x11\x11" if level == 5 else len(unsuback) == 4


def test_no_packet_has_a_reason_string_a_user_property_or_a_topic_alias() -> None:
    """So none is made longer by one than its client takes, and Request Problem Information has nothing to forbid."""
    peer = Peer(5, properties=b"\x17\0\x19\1\x22\0\5")
    announced = peer.greeting.reply[4:]
    length, properties = announced[0], announced[1:]
    assert length == len(properties)
    sizes = {0x21: 2, 0x24: 1, 0x27: 4, 0x22: 2, 0x29: 1, 0x2A: 1}
    seen = []
    while properties:
        seen.append(properties[0])
        properties = properties[1 + sizes[properties[0]] :]
    assert sorted(seen) == sorted(sizes)
    suback = peer.send(subscribe("homeassistant/status", is_v5=True)).reply
    assert suback == packet(0x90, b"\0\x09\0\1") + packet(0x31, text("homeassistant/status") + b"\0online")
    assert peer.send(unsubscribe("x", is_v5=True)).reply == packet(0xB0, b"\0\x09\0\x11")
    assert peer.send(publish("other", packet_id=1, properties=b"")).reply == packet(0x40, b"\0\1\x87")
    peer.send(publish(packet_id=2, properties=b""))
    assert peer.session.acknowledge([2])[1] == packet(0x40, b"\0\2")
    assert peer.send(packet(0x62, b"\0\7")).reply == packet(0x70, b"\0\7\x92")
    assert peer.session.refuse(Refusal.SHUTTING_DOWN) == packet(0xE0, b"\x8b")


# PUBLISH


@BOTH
def test_a_publication_is_answered_by_its_qos(level: int) -> None:
    peer = Peer(level)
    assert peer.send(publish(properties=none_of(level))).reply == b""
    at_least_once = peer.send(publish(packet_id=513, properties=none_of(level)))
    assert (at_least_once.reply, peer.session.acknowledge([513])) == (b"", (1, puback(513)))
    exactly_once = peer.send(publish(packet_id=514, qos=2, properties=none_of(level)))
    if level == 5:
        assert exactly_once.refusal is Refusal.QOS_2, "Maximum QoS is 1"
    else:
        assert peer.session.acknowledge([514], [514]) == (1, b"\x50\x02\x02\x02")


@BOTH
@pytest.mark.parametrize("dup", [False, True])
def test_after_its_puback_a_packet_id_means_another_message(level: int, dup: bool) -> None:
    peer = Peer(level)
    for payload in (b"first", b"second"):
        sent = peer.send(publish(payload=payload, packet_id=1, dup=dup, properties=none_of(level)))
        assert [one.payload for one in sent.publications] == [payload]
        assert peer.session.acknowledge([1]) == (1, puback(1))


def test_a_topic_alias_of_0_is_refused() -> None:
    outcome = Peer(5).send(publish(properties=b"\x23\0\0"))
    assert outcome.reply == packet(0xE0, b"\x94")


def test_a_subscription_identifier_has_no_place_in_a_clients_publish() -> None:
    outcome = Peer(5).send(publish(properties=b"\x0b\1"))
    assert outcome.refusal is Refusal.MALFORMED


def test_a_publish_without_properties_has_a_property_length_of_0() -> None:
    assert Peer(5).send(publish(properties=b"")).publications
    assert Peer(5).send(publish("t/1", b"", properties=None)).refusal is Refusal.MALFORMED


def test_a_response_topic_and_a_message_without_end_are_read_over() -> None:
    """What is for subscribers alone is neither kept nor checked beyond its form."""
    outcome = Peer(5).send(publish(properties=b"\x02\0\0\0\0\x08" + text("t/+") + b"\x09" + text(b"\0\1")))
    assert [one.payload for one in outcome.publications] == [b"{}"]


@BOTH
@pytest.mark.parametrize("payload", [b"offline", b""])
@pytest.mark.parametrize("retain", [True, False])
def test_what_is_kept_is_the_listeners_own(level: int, payload: bytes, retain: bool) -> None:
    """Nothing that a client publishes is kept, nor changes what is."""
    peer = Peer(level)
    peer.session._may_publish = lambda _topic: True
    kept = packet(0x31, text("homeassistant/status") + (b"\0" if peer.is_v5 else b"") + b"online")
    for topic in ("homeassistant/status", "t/set"):
        assert peer.send(publish(topic, payload, retain=retain, properties=none_of(level))).publications
    outcome = peer.send(subscribe("homeassistant/status", "t/set", is_v5=peer.is_v5))
    assert outcome.reply.endswith(b"\1\1" + kept)


# SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT, AUTH


@BOTH
@pytest.mark.parametrize("first", [0x80, 0x83, 0xA0, 0xA3, 0xC1, 0xE1, 0x60], ids=hex)
def test_reserved_flags_of_a_fixed_header_end_the_connection(level: int, first: int) -> None:
    outcome = Peer(level).send(packet(first, b"\0\1"))
    assert outcome.refusal is Refusal.MALFORMED
    assert outcome.reply == (packet(0xE0, b"\x81") if level == 5 else b"")


@BOTH
@pytest.mark.parametrize("first", [0x82, 0xA2], ids=["SUBSCRIBE", "UNSUBSCRIBE"])
def test_a_request_without_a_filter_ends_the_connection(level: int, first: int) -> None:
    outcome = Peer(level).send(packet(first, b"\0\1" + (b"\0" if level == 5 else b"")))
    assert outcome.refusal is Refusal.PROTOCOL


@BOTH
def test_a_subscription_may_be_asked_for_at_any_qos_and_replaced(level: int) -> None:
    peer = Peer(level)
    for asked, granted in ((2, 1), (0, 0), (1, 1)):
        wanted = subscribe("t/set", is_v5=peer.is_v5)[:-1] + bytes((asked,))
        assert peer.send(wanted).reply[-1] == granted
    assert peer.send(unsubscribe("t/set", "t/set", is_v5=peer.is_v5)).reply == packet(
        0xB0, b"\0\x09" + (b"\0\0\x11" if peer.is_v5 else b"")
    )


@BOTH
def test_pingreq_is_answered(level: int) -> None:
    assert Peer(level).send(PINGREQ, PINGREQ).reply == 2 * PINGRESP


@BOTH
def test_after_disconnect_nothing_is_read_and_nothing_sent(level: int) -> None:
    peer = Peer(level)
    peer.send(publish(packet_id=1, properties=none_of(level)))
    outcome = peer.send(DISCONNECT + publish(packet_id=2, properties=none_of(level)))
    assert (outcome.ended, outcome.reply, outcome.publications) == (True, b"", [])
    assert peer.session.acknowledge([1])[1] == b""


@BOTH
def test_after_our_last_words_nothing_is_sent(level: int) -> None:
    peer = Peer(level)
    peer.send(publish(packet_id=1, properties=none_of(level)))
    assert peer.send(packet(0x00)).ended
    assert peer.session.acknowledge([1])[1] == b""
    assert peer.session.refuse(Refusal.SHUTTING_DOWN) == b""
    assert peer.send(PINGREQ).reply == b""


def test_auth_without_an_authentication_method_ends_the_connection() -> None:
    outcome = Peer(5).send(packet(0xF0, b"\x18\0"))
    assert outcome.reply == packet(0xE0, b"\x82")


# Sessions


@pytest.mark.parametrize(("after_s", "is_kept"), [(9.9, True), (10.1, False)])
def test_a_session_is_over_when_its_expiry_has_passed(after_s: float, is_kept: bool) -> None:
    over: list[str] = []
    sessions = LastingSessions(10, lambda session, _state: over.append(session))
    state = SessionState(exchanges=Exchanges([7]))
    sessions.keep("c/1", state, 10, now=100.0)
    assert sessions.take("c/1", 100.0 + after_s) is (state if is_kept else None)
    assert over == ([] if is_kept else ["c/1"])
