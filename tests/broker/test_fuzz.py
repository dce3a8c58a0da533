"""The codec and the session under what Hypothesis makes up: round trips, garbage, lives of a session."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import client_packets, packets, subscribe_packets, wire
from broker.packets import split
from broker.refusals import PacketRefused, Refusal
from broker.session_state import SessionState
from tests.broker import device
from tests.broker.fuzzing import LIMITS, assert_well_formed, drive, exercise, pieces
from tests.broker.sans_io import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.outcome import Outcome

LEVELS: Final = pytest.mark.parametrize("level", [4, 5])
TEXTS: Final = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
TOPICS: Final = st.sampled_from(["t/1", "t/2", "denied", "t/+", ""])
PACKET_IDS: Final = st.integers(1, 6)


def publishes(level: int) -> st.SearchStrategy[bytes]:
    return st.builds(
        device.publish,
        TOPICS,
        st.binary(max_size=40),
        packet_id=st.one_of(st.none(), PACKET_IDS),
        dup=st.just(False),
        retain=st.booleans(),
        properties=st.just(b"" if level == 5 else None),
    )


def exactly_once(level: int) -> st.SearchStrategy[bytes]:
    properties = b"" if level == 5 else None
    return PACKET_IDS.flatmap(
        lambda one: st.sampled_from(
            [
                device.publish(packet_id=one, qos=2, properties=properties),
                device.publish(packet_id=one, qos=2, dup=True, properties=properties),
                b"\x62\x02" + struct.pack(">H", one),
            ]
        )
    )


def requests(level: int) -> st.SearchStrategy[bytes]:
    is_v5 = level == 5
    return st.sampled_from(
        [
            device.PINGREQ,
            device.subscribe("t/set", "denied", "homeassistant/status", is_v5=is_v5),
            device.unsubscribe("t/set", is_v5=is_v5),
            device.DISCONNECT,
            device.connect(level=level),
            device.packet(0xF0),
        ]
    )


def connects(level: int) -> st.SearchStrategy[bytes]:
    is_v5 = level == 5
    return st.builds(
        device.connect,
        st.sampled_from(["dev-1", ""]),
        level=st.just(level),
        clean=st.booleans(),
        will=st.one_of(st.none(), st.tuples(TOPICS, st.binary(max_size=5), st.integers(0, 3))),
        will_properties=st.sampled_from([b"", b"\x18\0\0\0\1"] if is_v5 else [b""]),
        properties=st.sampled_from([b"", b"\x11\0\0\0\1", b"\x27\0\0\0\x20"] if is_v5 else [b""]),
    )


def streams(level: int) -> st.SearchStrategy[bytes]:
    """What a device of this version may send, mostly."""
    some = st.lists(st.one_of(publishes(level), exactly_once(level), requests(level)), max_size=8)
    return st.builds(
        lambda first, rest, tail: first + b"".join(rest) + tail, connects(level), some, st.binary(max_size=9)
    )


STREAMS: Final = st.one_of(streams(4), streams(5))


@settings(max_examples=60)
@given(STREAMS)
def test_a_cut_at_every_place_means_the_same(stream: bytes) -> None:
    """What was published, answered and refused, all of it."""
    whole = drive([stream])
    for cut in range(len(stream) + 1):
        assert drive([stream[:cut], stream[cut:]]) == whole, f"cut at {cut}"


@given(STREAMS, st.lists(st.integers(0, 500), max_size=9))
def test_many_cuts_mean_the_same(stream: bytes, cuts: list[int]) -> None:
    assert drive(pieces(stream, cuts)) == drive([stream])


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_garbage_is_exercised_without_a_surprise(data: bytes) -> None:
    exercise(data)


@settings(max_examples=200)
@given(
    STREAMS,
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.binary(max_size=8),
)
def test_damage_is_exercised_without_a_surprise(stream: bytes, flips: list[tuple[int, int]], cuts: bytes) -> None:
    damaged = bytearray(stream)
    for position, value in flips:
        damaged[position % len(damaged)] = value
    exercise(bytes((len(cuts),)) + cuts + bytes(damaged))


# Round trips


@LEVELS
@given(filters=st.lists(st.tuples(TEXTS, st.integers(0, 2)), min_size=1, max_size=5), packet_id=st.integers(1, 65_535))
def test_a_subscribe_is_read_as_it_was_written(level: int, filters: list[tuple[str, int]], packet_id: int) -> None:
    named = [(name.replace("#", "x").replace("+", "y"), qos) for name, qos in filters]
    body = b"".join(device.text(name) + bytes((qos,)) for name, qos in named)
    written = device.packet(0x82, struct.pack(">H", packet_id) + (b"\0" if level == 5 else b"") + body)
    (_, start, end) = split(written, 100_000).packets[0]
    read_id, wanted = subscribe_packets.decode_subscribe(written, start, end, is_v5=level == 5)
    assert (read_id, [(one.topic_filter, one.qos) for one in wanted]) == (packet_id, named)
    ended = device.unsubscribe(*(name for name, _ in named), packet_id=packet_id, is_v5=level == 5)
    (_, start, end) = split(ended, 100_000).packets[0]
    read = subscribe_packets.decode_unsubscribe(ended, start, end, is_v5=level == 5)
    assert read == (packet_id, [name for name, _ in named])


@LEVELS
@given(client_id=TEXTS, username=TEXTS, password=TEXTS, keep_alive_s=st.integers(0, 65_535))
def test_our_own_connect_is_read_by_our_own_server(
    level: int, client_id: str, username: str, password: str, keep_alive_s: int
) -> None:
    """The agent as a client, and as a server: two sides of one codec."""
    written = client_packets.encode_connect(
        level,
        client_id,
        username=username,
        password=password,
        keep_alive_s=keep_alive_s,
        properties={wire.SESSION_EXPIRY: 7},
    )
    (_, start, end) = split(written, 100_000).packets[0]
    read = packets.decode_connect(written, start, end)
    assert (read.client_id, read.username, read.password) == (client_id, username, password.encode())
    assert (read.keep_alive_s, read.clean_start, read.will) == (keep_alive_s, False, None)
    assert read.session_expiry_s == (7 if level == 5 else packets.NEVER_EXPIRES)


@LEVELS
@given(code=st.integers(0, 255), codes=st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=9).map(bytes))
def test_our_own_answers_are_read_by_our_own_client(level: int, code: int, codes: bytes) -> None:
    connack = packets.encode_connack(code, properties={wire.SERVER_KEEP_ALIVE: 9} if level == 5 else None)
    (_, start, end) = split(connack, 1_000).packets[0]
    assert client_packets.decode_connack(connack, start, end) == (code, 9 if level == 5 else 0)
    suback = subscribe_packets.encode_suback(7, codes, is_v5=level == 5)
    (_, start, end) = split(suback, 1_000).packets[0]
    assert client_packets.decode_suback(suback, start, end, is_v5=level == 5, packet_id=7, filters=len(codes)) == codes


DECODERS: Final[dict[str, Callable[[bytes, int, int], object]]] = {
    "level": packets.connect_level,
    "PUBREL": lambda raw, start, end: packets.decode_pubrel(raw, start, end, is_v5=True),
    "DISCONNECT": lambda raw, start, end: packets.decode_disconnect(raw, start, end, is_v5=True),
    "SUBSCRIBE": lambda raw, start, end: subscribe_packets.decode_subscribe(raw, start, end, is_v5=True),
    "UNSUBSCRIBE": lambda raw, start, end: subscribe_packets.decode_unsubscribe(raw, start, end, is_v5=True),
    "CONNACK": client_packets.decode_connack,
    "SUBACK": lambda raw, start, end: client_packets.decode_suback(raw, start, end, is_v5=True, packet_id=1, filters=1),
    "PUBLISH": lambda raw, start, end: packets.decode_publish(0x32, raw, start, end, is_v5=True),
    "CONNECT": lambda raw, start, end: packets.decode_connect(
        raw[:start] + device.text("MQTT") + b"\5" + raw[start:], start, end + 7
    ),
}


@pytest.mark.parametrize("name", DECODERS)
@given(raw=st.binary(max_size=60), window=st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_a_decoder_raises_nothing_but_its_refusal(name: str, raw: bytes, window: tuple[int, int]) -> None:
    """And reads nothing behind the packet's end: what stands there changes nothing."""
    start, end = sorted(min(place, len(raw)) for place in window)
    outcomes: list[object] = []
    for buffer in (raw, raw[:end], raw[:end] + bytes(60)):
        try:
            outcomes.append(DECODERS[name](buffer, start, end))
        except PacketRefused as refused:
            outcomes.append((refused.refusal, str(refused)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(st.binary(max_size=200), st.integers(2, 300))
def test_split_goes_forward_and_accounts_for_every_byte(raw: bytes, maximum: int) -> None:
    found = split(raw, maximum)
    position = 0
    for first, start, end in found.packets:
        assert first == raw[position]
        assert position + 2 <= start <= end <= len(raw)
        assert end - position <= maximum
        position = end
    assert found.consumed == position
    assert found.fault is not None or len(raw) - position < found.needed


# Lives of a session


def lives(level: int) -> st.SearchStrategy[list[bytes | int]]:
    """Bytes from the device, and numbers: the owner has so many more on disk."""
    sent = st.one_of(publishes(level), exactly_once(level), requests(level))
    return st.lists(st.one_of(sent, sent, st.integers(1, 4)), max_size=25)


class _Life:
    """A session, its device and its owner; and who has been promised what."""

    def __init__(self, level: int) -> None:
        self.peer = Peer(level, limits=LIMITS, state=SessionState())
        self.on_the_way: list[tuple[int, bool]] = []
        self.releases: list[int] = []
        self.promised: Counter[tuple[int, int]] = Counter()
        self.given: Counter[tuple[int, int]] = Counter()
        self.is_over = False

    def send(self, data: bytes) -> None:
        known = set(self.peer.state.exchanges._open)
        self.take(self.peer.send(data), known, data)

    def take(self, outcome: Outcome, known: set[int], data: bytes) -> None:
        assert not (self.is_over and (outcome.reply or outcome.publications or outcome.steps))
        self.is_over = self.is_over or outcome.ended
        steps = set(outcome.steps)
        assert not known & {one for one in steps if one > 0}, "taken over twice"
        self.on_the_way += [(one.packet_id, one.packet_id in steps) for one in outcome.publications if one.packet_id]
        self.releases += [-one for one in steps if one < 0]
        if outcome.resent or outcome.denied:
            self.promised.update((kind, packet_id) for kind in (0x40, 0x50) for packet_id in range(1, 7))
        self.promised.update((0x70, packet_id) for packet_id in range(1, 7) if b"\x62" in data)
        self.read(outcome.reply)

    def commit(self, count: int) -> None:
        done, self.on_the_way = self.on_the_way[:count], self.on_the_way[count:]
        released, self.releases = self.releases, []
        steps = [packet_id for packet_id, is_twice in done if is_twice] + [-one for one in released]
        self.peer.state.exchanges.settle(steps)
        self.promised.update((0x50 if is_twice else 0x40, packet_id) for packet_id, is_twice in done)
        self.promised.update((0x70, one) for one in released)
        found, answers = self.peer.session.acknowledge([packet_id for packet_id, _ in done], steps)
        assert found <= len(done)
        assert not (self.is_over and answers)
        self.read(answers)
        if self.peer.session.has_backlog and not self.peer.session.must_wait:
            known = set(self.peer.state.exchanges._open)
            self.take(self.peer.session.go_on(1.0), known, b"\x62")

    def read(self, sent: bytes) -> None:
        """No word is given before it was promised, nor more often."""
        assert_well_formed(sent)
        for first, start, _ in split(sent, len(sent) + 1).packets:
            if first in (0x40, 0x50, 0x70):
                self.given[first, sent[start] << 8 | sent[start + 1]] += 1
        assert all(number <= self.promised[key] for key, number in self.given.items())
        assert self.peer.session.unacknowledged <= LIMITS.max_unacknowledged


@LEVELS
@settings(max_examples=150)
@given(data=st.data())
def test_no_word_is_given_before_the_owner_gave_it(level: int, data: st.DataObject) -> None:
    life = _Life(level)
    for one in data.draw(lives(level)):
        life.commit(one) if isinstance(one, int) else life.send(one)
    life.commit(1_000)
    assert life.peer.session.refuse(Refusal.SHUTTING_DOWN) == (
        device.packet(0xE0, b"\x8b") if level == 5 and not life.is_over else b""
    )
