"""MQTT's data representations, against the figures of the OASIS documents."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import packets, wire
from broker.packets import split
from broker.refusals import PacketRefused, Refusal
from broker.subscribe_packets import encode_suback, encode_unsuback
from tests.broker import device

# MQTT 5 table 1-1, and the same in 3.1.1 table 2.4.
VARINTS = {
    0: b"\x00",
    127: b"\x7f",
    128: b"\x80\x01",
    16_383: b"\xff\x7f",
    16_384: b"\x80\x80\x01",
    2_097_151: b"\xff\xff\x7f",
    2_097_152: b"\x80\x80\x80\x01",
    268_435_455: b"\xff\xff\xff\x7f",
}
LARGEST = 268_435_460


@pytest.mark.parametrize(("value", "encoded"), VARINTS.items())
def test_variable_byte_integers_have_the_bytes_of_the_standard(value: int, encoded: bytes) -> None:
    assert wire.encode_varint(value) == encoded
    assert wire.decode_varint(encoded, 0, len(encoded)) == (value, len(encoded))
    assert wire.decode_varint(encoded, 0, len(encoded) - 1) is None


@given(st.integers(0, 268_435_455))
def test_variable_byte_integers_come_back(value: int) -> None:
    encoded = wire.encode_varint(value)
    assert wire.decode_varint(encoded, 0, len(encoded)) == (value, len(encoded))


def test_a_fifth_byte_is_refused() -> None:
    with pytest.raises(PacketRefused) as caught:
        wire.decode_varint(b"\xff\xff\xff\xff\x01", 0, 5)
    assert caught.value.refusal is Refusal.MALFORMED


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100))
def test_strings_come_back(text: str) -> None:
    encoded = wire.encode_text(text)
    assert wire.Reader(encoded, 0, len(encoded)).text() == text


VALUES = st.fixed_dictionaries(
    {},
    optional={
        wire.SESSION_EXPIRY: st.integers(0, 2**32 - 1),
        wire.RECEIVE_MAXIMUM: st.integers(1, 65_535),
        wire.MAXIMUM_PACKET_SIZE: st.integers(1, 2**32 - 1),
        wire.TOPIC_ALIAS_MAXIMUM: st.integers(0, 65_535),
        wire.REQUEST_PROBLEM: st.integers(0, 1),
        wire.AUTHENTICATION_METHOD: st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20),
        wire.AUTHENTICATION_DATA: st.binary(max_size=20),
    },
)


@given(VALUES)
def test_properties_come_back(values: wire.Properties) -> None:
    encoded = wire.encode_properties(values)
    reader = wire.Reader(encoded, 0, len(encoded))
    assert reader.properties(wire.IN_CONNECT) == values
    assert reader.at_end()


@given(VALUES, st.integers(1, 30))
def test_properties_cut_short_are_refused(values: wire.Properties, cut: int) -> None:
    encoded = wire.encode_properties(values)
    if len(encoded) > 1:
        end = max(len(encoded) - cut, 0)
        with pytest.raises(PacketRefused):
            wire.Reader(encoded[:end], 0, end).properties(wire.IN_CONNECT)


@given(
    st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=50),
    st.binary(max_size=300),
    st.one_of(st.none(), st.integers(1, 65_535)),
    st.booleans(),
)
def test_a_publish_is_read_as_it_was_written(topic: str, payload: bytes, packet_id: int | None, is_v5: bool) -> None:
    written = device.publish(topic, payload, packet_id=packet_id, properties=b"" if is_v5 else None)
    found = split(written, LARGEST)
    (first, start, end) = found.packets[0]
    raw, read_id, payload_start = packets.decode_publish(first, written, start, end, is_v5=is_v5)
    assert packets.decode_topic(raw) == topic
    assert read_id == (packet_id or 0)
    assert written[payload_start:end] == payload


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    st.booleans(),
    st.integers(0, 65_535),
    st.one_of(st.none(), st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20)),
    st.sampled_from([(4, False), (4, True), (5, False), (5, True)]),
)
def test_a_connect_is_read_as_it_was_written(
    client_id: str, clean: bool, keep_alive: int, username: str | None, kind: tuple[int, bool]
) -> None:
    level, is_willed = kind
    password = b"p" if username is not None else None
    will = ("t/w", b"gone", 1) if is_willed else None
    will_properties = b"\x18\0\0\0\x09" if level == 5 else b""
    written = device.connect(
        client_id,
        level=level,
        clean=clean,
        keep_alive=keep_alive,
        username=username,
        password=password,
        properties=b"\x11\0\0\0\x07" if level == 5 else b"",
        will=will,
        will_properties=will_properties,
    )
    (_, start, end) = split(written, LARGEST).packets[0]
    kept = packets.Will("t/w", 9 if level == 5 else 0) if is_willed else None
    lasts = 7 if level == 5 else 0 if clean else packets.NEVER_EXPIRES
    assert packets.connect_level(written, start, end) == level
    assert packets.decode_connect(written, start, end) == packets.Connect(
        level, client_id, clean, keep_alive, username, password, kept, lasts, inf
    )


def test_a_password_is_not_shown() -> None:
    written = device.connect(password=b"hunter2")
    (_, start, end) = split(written, LARGEST).packets[0]
    assert "hunter2" not in repr(packets.decode_connect(written, start, end))


@given(st.lists(st.binary(max_size=200), max_size=8), st.data())
def test_split_finds_what_is_whole_and_says_how_much_is_needed(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(device.packet(0x30, body) for body in bodies)
    cut = data.draw(st.integers(0, len(stream)))
    found = split(stream[:cut], LARGEST)
    assert found.fault is None
    assert [stream[start:end] for _, start, end in found.packets] == bodies[: len(found.packets)]
    rest = stream[found.consumed :]
    if rest:
        assert cut - found.consumed < found.needed <= len(rest)


def test_answers_have_the_bytes_of_the_standard() -> None:
    assert packets.encode_connack(0, session_present=True) == b"\x20\x02\x01\x00"
    assert packets.encode_connack(0x87, properties={}) == b"\x20\x03\x00\x87\x00"
    assert packets.encode_puback(0x1234) == b"\x40\x02\x12\x34"
    assert packets.encode_puback(0x1234, 0x87) == b"\x40\x03\x12\x34\x87"
    assert encode_suback(10, b"\x80\x80", is_v5=False) == b"\x90\x04\x00\x0a\x80\x80"
    assert encode_suback(10, b"\x87\x87", is_v5=True) == b"\x90\x05\x00\x0a\x00\x87\x87"
    assert encode_unsuback(10, b"\x11", is_v5=False) == b"\xb0\x02\x00\x0a"
    assert packets.encode_disconnect(0x8E) == b"\xe0\x01\x8e"
