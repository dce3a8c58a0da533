"""What is answered to SUBSCRIBE and UNSUBSCRIBE, packet by packet."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from broker.command_topics import readable, requests
from tests.broker.device import packet, subscribe, text, unsubscribe, varint
from tests.broker.sans_io import Peer

if TYPE_CHECKING:
    from tests.broker.conftest import Listen

BOTH = pytest.mark.parametrize("level", [4, 5])
STATUS = "homeassistant/status"


def options(*wanted: tuple[str, int], properties: bytes = b"") -> bytes:
    """SUBSCRIBE in MQTT 5, with options of one's own."""
    body = b"".join(text(topic) + bytes((bits,)) for topic, bits in wanted)
    return packet(0x82, struct.pack(">H", 9) + varint(len(properties)) + properties + body)


def suback(peer: Peer, *codes: int) -> bytes:
    return packet(0x90, b"\0\x09" + (b"\0" if peer.is_v5 else b"") + bytes(codes))


def kept(peer: Peer) -> bytes:
    return packet(0x31, text(STATUS) + (b"\0" if peer.is_v5 else b"") + b"online")


GRANTS = [
    ("cmnd/plug-1/#", True),
    ("cmnd/plug-1/POWER", True),
    ("cmnd/plug-1/+", True),
    ("cmnd/tasmotas/#", True),
    ("cmnd/plug-2/#", False),
    ("cmnd/+/POWER", False),
    ("cmnd/#", False),
    ("t/lamp/set", True),
    ("t/set", True),
    ("t/light/lamp/command", True),
    ("t/+/get", True),
    ("t/#", False),
    ("t/lamp", False),
    ("tele/plug-1/SENSOR", False),
    ("extra/1", True),
    ("extra/1/2", False),
    (STATUS, True),
    ("homeassistant/#", False),
    ("#", False),
    ("+", False),
    ("$SYS/#", False),
    ("$share/g/cmnd/plug-1/#", False),
]


@BOTH
def test_commands_are_granted_and_all_else_is_refused_by_itself(level: int) -> None:
    """[MQTT-3.8.4-5, 3.8.4-6]: one SUBACK, a code for each filter in their order, and the connection goes on."""
    peer = Peer(level)
    wanted = [one for one in GRANTS if one[0] != STATUS]
    outcome = peer.send(subscribe(*(topic for topic, _ in wanted), is_v5=peer.is_v5))
    shared, refused = (0x9E, 0x87) if peer.is_v5 else (0x80, 0x80)
    codes = [1 if granted else shared if topic.startswith("$share") else refused for topic, granted in wanted]
    assert outcome.reply == suback(peer, *codes)
    assert outcome.refused_filters == sum(not granted for _, granted in wanted)
    assert not outcome.ended


@BOTH
def test_what_is_kept_comes_behind_the_suback_marked_as_retained(level: int) -> None:
    peer = Peer(level)
    assert peer.send(subscribe(STATUS, is_v5=peer.is_v5)).reply == suback(peer, 1) + kept(peer)
    again = peer.send(subscribe(STATUS, is_v5=peer.is_v5))
    assert again.reply == suback(peer, 1) + kept(peer), "a second SUBSCRIBE brings it again [MQTT-3.8.4-3]"


@pytest.mark.parametrize(("handling", "first", "second"), [(0, True, True), (1, True, False), (2, False, False)])
def test_retain_handling_says_when_what_is_kept_is_sent(handling: int, *, first: bool, second: bool) -> None:
    """MQTT 5 section 3.8.3.1."""
    peer, wanted = Peer(5), options((STATUS, 1 | handling << 4))
    assert peer.send(wanted).reply == suback(peer, 1) + kept(peer) * first
    assert peer.send(wanted).reply == suback(peer, 1) + kept(peer) * second


@BOTH
@pytest.mark.parametrize(("asked", "granted"), [(0, 0), (1, 1), (2, 1)])
def test_the_qos_granted_is_never_above_the_one_asked_for(level: int, asked: int, granted: int) -> None:
    peer = Peer(level)
    wanted = subscribe("cmnd/plug-1/#", is_v5=peer.is_v5)[:-1] + bytes((asked,))
    assert peer.send(wanted).reply == suback(peer, granted)


@BOTH
def test_unsubscribe_is_always_answered_and_ends_only_what_is_named_exactly(level: int) -> None:
    """[MQTT-3.10.4-1, 3.10.4-4, 3.10.4-5]."""
    peer = Peer(level)
    peer.send(subscribe("cmnd/plug-1/#", "t/set", is_v5=peer.is_v5))
    gone = peer.send(unsubscribe("cmnd/plug-1/+", "t/set", "t/set", is_v5=peer.is_v5))
    assert gone.reply == packet(0xB0, b"\0\x09" + (b"\0\x11\0\x11" if peer.is_v5 else b""))
    left = peer.send(unsubscribe("cmnd/plug-1/#", is_v5=peer.is_v5))
    assert left.reply == packet(0xB0, b"\0\x09" + (b"\0\0" if peer.is_v5 else b""))


def test_subscriptions_are_of_the_session_and_not_of_the_connection() -> None:
    first = Peer(5)
    first.send(subscribe("t/set", is_v5=True))
    second = Peer(5, state=first.state, session_present=True)
    assert second.send(unsubscribe("t/set", is_v5=True)).reply == packet(0xB0, b"\0\x09\0\0")


REFUSED = {
    "a subscription identifier": (options(("t/set", 1), properties=b"\x0b\x05"), 0xA1),
    "retain handling 3": (options(("t/set", 0x31)), 0x82),
    "a shared subscription with No Local": (options(("$share/g/t/set", 0x05)), 0x82),
    "reserved options": (options(("t/set", 0x41)), 0x81),
    "no filter": (options(), 0x82),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_mqtt_5_forbids_in_a_subscribe_ends_the_connection(name: str) -> None:
    wanted, code = REFUSED[name]
    outcome = Peer(5).send(wanted)
    assert outcome.reply == packet(0xE0, bytes((code,)))
    assert outcome.ended


def test_a_client_is_never_sent_a_packet_larger_than_it_takes() -> None:
    """[MQTT-3.1.2-24, 3.1.2-25]: the retained message is dropped, for a CONNACK or SUBACK there is no other way."""
    small = Peer(5, properties=b"\x27" + (30).to_bytes(4, "big"))
    assert small.send(subscribe(STATUS, is_v5=True)).reply == suback(small, 1)
    many = small.send(options(*(("t/set", 0),) * 26))
    assert (many.reply, many.ended) == (packet(0xE0, b"\x95"), True)
    smallest = Peer(5, properties=b"\x27" + (8).to_bytes(4, "big"))
    assert (smallest.greeting.reply, smallest.greeting.ended) == (b"", True)


def test_a_session_keeps_a_bounded_number_of_subscriptions() -> None:
    peer = Peer(5)
    names = [f"cmnd/plug-1/{number}" for number in range(1_001)]
    assert peer.send(subscribe(*names[:500], is_v5=True)).refused_filters == 0
    assert peer.send(subscribe(*names[500:], is_v5=True)).reply.endswith(b"\1\x97")
    assert peer.send(subscribe(names[0], is_v5=True)).refused_filters == 0


@pytest.mark.parametrize(
    ("publish", "commands"),
    [
        ("zigbee2mqtt/#", ("zigbee2mqtt/#",)),
        ("tele/plug-1/#", ("cmnd/plug-1/#", "cmnd/tasmotas/#")),
        ("stat/+/RESULT", ("cmnd/+/#", "cmnd/tasmotas/#")),
        ("tele/#", ()),
        ("#", ()),
        ("+/state", ()),
        ("/lead/#", ()),
        ("plain", ()),
        ("plain/topic", ()),
        ("spBv1.0/school/+/plc/#", ("spBv1.0/school/NCMD/plc/#", "spBv1.0/school/DCMD/plc/#", "spBv1.0/STATE/#")),
        ("spBv1.0/school/NDATA/plc", ("spBv1.0/school/NCMD/plc/#", "spBv1.0/school/DCMD/plc/#", "spBv1.0/STATE/#")),
        ("spBv1.0/school/#", ("spBv1.0/school/NCMD/#", "spBv1.0/school/DCMD/#", "spBv1.0/STATE/#")),
        ("spBv1.0/school/NDATA/+", ("spBv1.0/school/NCMD/#", "spBv1.0/school/DCMD/#", "spBv1.0/STATE/#")),
        ("spBv1.0/+/NDATA/plc", ()),
        ("spBv1.0/school/NDATA", ()),
        ("spBv1.0/#", ()),
    ],
)
def test_commands_follow_from_what_a_client_publishes(publish: str, commands: tuple[str, ...]) -> None:
    assert readable([publish], ()) == (*commands, STATUS)


@pytest.mark.parametrize(
    ("heard", "asked"),
    [
        ("spBv1.0/school/+/plc/#", ("spBv1.0/school/NCMD/plc",)),
        ("spBv1.0/school/NDATA/plc/probe", ("spBv1.0/school/NCMD/plc",)),
        ("spBv1.0/school/+/+", ("spBv1.0/school/NCMD/+",)),
        ("spBv1.0/school/#", ("spBv1.0/school/NCMD/+",)),
        ("spBv1.0/#", ("spBv1.0/+/NCMD/+",)),
        ("#", ("spBv1.0/+/NCMD/+",)),
        ("spBv1.0/school/NDATA", ()),
        ("zigbee2mqtt/#", ()),
    ],
)
def test_requests_go_to_nodes_that_are_heard(heard: str, asked: tuple[str, ...]) -> None:
    assert requests([heard, heard]) == asked


@BOTH
def test_what_the_owner_publishes_reaches_who_subscribed_to_it(level: int) -> None:
    """At QoS 0, not retained; never a packet that the client does not take."""
    peer = Peer(level)
    assert peer.session.tell("t/set", b"x") == b""
    peer.send(subscribe("t/set", is_v5=peer.is_v5))
    assert peer.session.tell("t/set", b"x") == packet(0x30, text("t/set") + (b"\0" if peer.is_v5 else b"") + b"x")
    assert peer.session.tell("t/lamp/set", b"x") == b""
    peer.send(packet(0xE0))
    assert peer.session.tell("t/set", b"x") == b""


def test_what_is_larger_than_the_client_takes_is_not_published_to_it() -> None:
    peer = Peer(5, properties=b"\x27" + struct.pack(">I", 30))
    peer.send(subscribe("t/set", is_v5=True))
    assert peer.session.tell("t/set", b"x" * 20) == packet(0x30, text("t/set") + b"\0" + b"x" * 20)
    assert peer.session.tell("t/set", b"x" * 21) == b""


@BOTH
async def test_subscriptions_over_a_connection_are_counted(listen: Listen, level: int) -> None:
    running = await listen()
    device, is_v5 = await running.admitted(level=level, clean=False), level == 5
    await device.send(subscribe("t/set", "other/set", is_v5=is_v5))
    assert await device.read_packet() == (0x90, b"\0\x09" + (b"\0\x01\x87" if is_v5 else b"\x01\x80"))
    await device.expect_silence()
    assert running.refused("subscription") == 1
