"""QoS 2 in MQTT 3.1.1: PUBREC when it is on disk, one copy whatever is sent again, PUBCOMP when the id is free."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from broker.exchanges import Exchanges
from broker.limits import Limits
from broker.refusals import Refusal
from broker.session_state import SessionState
from tests.broker.device import connect, packet, publish
from tests.broker.sans_io import Peer
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.broker.conftest import Listen


def pubrec(packet_id: int) -> bytes:
    return b"\x50\x02" + struct.pack(">H", packet_id)


def pubrel(packet_id: int) -> bytes:
    return b"\x62\x02" + struct.pack(">H", packet_id)


def pubcomp(packet_id: int) -> bytes:
    return b"\x70\x02" + struct.pack(">H", packet_id)


def twice(packet_id: int, *, dup: bool = False, payload: bytes = b"{}") -> bytes:
    return publish(payload=payload, packet_id=packet_id, qos=2, dup=dup)


def settle(peer: Peer, *steps: int) -> bytes:
    """These steps are on disk."""
    peer.state.exchanges.settle(steps)
    return peer.session.acknowledge([step for step in steps if step > 0], steps)[1]


def test_pubrec_waits_for_the_disk_and_pubcomp_too() -> None:
    """MQTT 3.1.1 figure 4.3, method B."""
    peer = Peer()
    sent = peer.send(twice(7))
    assert (sent.reply, sent.steps, [one.packet_id for one in sent.publications]) == (b"", [7], [7])
    assert settle(peer, 7) == pubrec(7)
    released = peer.send(pubrel(7))
    assert (released.reply, released.steps) == (b"", [-7])
    assert settle(peer, -7) == pubcomp(7)
    assert len(peer.state.exchanges) == 0


def test_what_is_sent_again_is_answered_and_not_handed_on() -> None:
    """[MQTT-4.3.3-2], on the same connection and on the next, with DUP or without."""
    first = Peer(clean=False)
    first.send(twice(7))
    again = first.send(twice(7, dup=True))
    assert (again.reply, again.publications, again.resent) == (b"", [], 1), "one PUBREC answers both"
    assert settle(first, 7) == pubrec(7)
    second = Peer(clean=False, state=first.state, session_present=True)
    for dup in (True, False):
        known = second.send(twice(7, dup=dup))
        assert (known.reply, known.publications, known.steps) == (pubrec(7), [], [])


def test_a_known_packet_id_is_answered_in_its_turn() -> None:
    """[MQTT-4.6.0-3]."""
    peer = Peer(state=SessionState(exchanges=Exchanges([7])))
    assert peer.send(publish(packet_id=1), twice(7, dup=True), twice(8)).reply == b""
    assert settle(peer, 8) == b""
    assert peer.session.acknowledge([1])[1] == b"\x40\x02\0\1" + pubrec(7) + pubrec(8)


def test_a_released_packet_id_means_another_message() -> None:
    peer = Peer()
    for payload in (b"first", b"second"):
        sent = peer.send(twice(7, payload=payload))
        assert [one.payload for one in sent.publications] == [payload]
        assert settle(peer, 7) == pubrec(7)
        peer.send(pubrel(7))
        assert settle(peer, -7) == pubcomp(7)


def test_one_pubcomp_answers_a_pubrel_that_is_sent_again() -> None:
    peer = Peer(state=SessionState(exchanges=Exchanges([7])))
    assert peer.send(pubrel(7), pubrel(7)).steps == [-7]
    assert settle(peer, -7) == pubcomp(7)


def test_an_unknown_pubrel_is_answered_with_pubcomp() -> None:
    """MQTT 5 says that it is unknown: reason code 0x92 (section 3.7.2.1)."""
    assert Peer().send(pubrel(7)).reply == pubcomp(7)
    assert Peer(5).send(pubrel(7)).reply == packet(0x70, b"\0\x07\x92")


def test_a_release_that_was_on_its_way_when_the_connection_went_is_asked_for_again() -> None:
    first = Peer(clean=False, state=SessionState(exchanges=Exchanges([7])))
    first.send(pubrel(7))
    second = Peer(clean=False, state=first.state)
    assert second.send(pubrel(7)).steps == [-7]
    assert settle(second, -7) == pubcomp(7)


REFUSED = {
    "PUBREL before its PUBREC": (twice(7) + pubrel(7), Refusal.PROTOCOL),
    "PUBREL of packet id 0": (pubrel(0), Refusal.PROTOCOL),
    "PUBREL with flags 0": (b"\x60" + pubrel(7)[1:], Refusal.MALFORMED),
    "PUBREL with a tail": (packet(0x62, b"\0\7\0"), Refusal.MALFORMED),
    "QoS 2 of packet id 0": (twice(0), Refusal.PROTOCOL),
    "more than may be open": (b"".join(twice(one) for one in range(1, 5)), Refusal.RECEIVE_MAXIMUM),
    "a topic of others": (publish("other", packet_id=1, qos=2), Refusal.NOT_AUTHORIZED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_client_may_not_do_ends_the_connection(name: str) -> None:
    sent, refusal = REFUSED[name]
    outcome = Peer(limits=Limits(max_exchanges=3)).send(sent)
    assert (outcome.refusal, outcome.ended) == (refusal, True)


async def test_the_owner_knows_from_before_what_is_open(listen: Listen) -> None:
    """A session remembered with its packet ids: what comes again is answered, and reaches nobody."""
    running = await listen(remembered={"sensor/p": (7,)})
    device = await running.dial()
    await device.send(connect("p", clean=False) + twice(7, dup=True) + twice(8))
    assert await device.read_packet() == (0x20, b"\1\0")
    assert await device.read_packet() == (0x50, b"\0\7")
    await running.count(1)
    assert [one.packet_id for one in running.received] == [8]
    assert running.listener.counters["resent"] == 1


@pytest.mark.parametrize("clean", [True, False])
async def test_a_session_that_ends_gives_its_packet_ids_free(listen: Listen, *, clean: bool) -> None:
    """At its end for a clean session; for a lasting one when its client begins anew [MQTT-3.1.2-6]."""
    running = await listen()
    device = await running.dial()
    await device.send(connect("p", clean=clean) + twice(7))
    await running.count(1)
    running.acknowledge(running.tokens)
    assert await device.read_packet() == (0x20, b"\0\0")
    assert await device.read_packet() == (0x50, b"\0\7")
    await device.close()
    anew = await running.dial()
    await anew.send(connect("p", clean=True) + pubrel(7))
    assert await anew.read_packet() == (0x20, b"\0\0")
    assert await anew.read_packet() == (0x70, b"\0\7")
    assert [token.steps for token in running.tokens] == [[7], [-7]]


async def test_what_is_on_disk_is_known_to_the_next_connection(listen: Listen) -> None:
    """Sent again without its PUBREC: answered, and handed on to nobody; once its id is free on disk, it is another."""
    running = await listen()
    device = await running.dial()
    await device.send(connect("p", clean=False) + twice(7))
    await running.count(1)
    running.acknowledge(running.tokens)
    assert [await device.read_packet() for _ in range(2)] == [(0x20, b"\0\0"), (0x50, b"\0\7")]
    await device.close()
    again = await running.dial()
    await again.send(connect("p", clean=False) + twice(7, dup=True) + pubrel(7))
    assert [await again.read_packet() for _ in range(2)] == [(0x20, b"\1\0"), (0x50, b"\0\7")]
    await until(lambda: len(running.tokens) == 2, what="the PUBREL")
    running.acknowledge(running.tokens[1:])
    assert await again.read_packet() == (0x70, b"\0\7")
    await running.count(1)
    await again.send(twice(7))
    await running.count(2)
