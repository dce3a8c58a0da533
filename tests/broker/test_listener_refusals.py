"""What the listener refuses, and in which words."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

import pytest

from broker.credentials import Credentials
from broker.limits import Limits
from broker.listener import Addresses, Listener
from broker.ports import PortTaken, PortUnavailable
from tests.broker.device import (
    PINGREQ,
    connect,
    packet,
    puback,
    publish,
    subscribe,
    text,
    varint,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.broker.conftest import Listen


def connack_5(code: int) -> bytes:
    return packet(0x20, bytes((0, code, 0)))


def disconnect_5(code: int) -> bytes:
    return packet(0xE0, bytes((code,)))


BEFORE_CONNECT = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", "first_packet"),
    "garbage": (bytes(range(255, 200, -1)), b"", "first_packet"),
    "publish first": (publish(), b"", "first_packet"),
    "connect with flags": (b"\x11" + connect()[1:], b"", "first_packet"),
    "five-byte varint": (b"\x10\xff\xff\xff\xff\x7f", b"", "malformed"),
    "oversize connect": (b"\x10\xff\xff\xff\x7f", b"", "too_large"),
    "another protocol": (connect(name="AMQP"), b"", "first_packet"),
    "MQTT 3.1": (connect(name="MQIsdp", level=3), b"\x20\x02\x00\x01", "protocol_version"),
    "level 3": (connect(level=3), b"\x20\x02\x00\x01", "protocol_version"),
    "level 6": (connect(level=6), connack_5(0x84), "protocol_version"),
    "reserved connect flag": (packet(0x10, text("MQTT") + b"\x04\x03\0\0" + text("x")), b"", "malformed"),
    "will flags without will": (packet(0x10, text("MQTT") + b"\x04\x22\0\0" + text("x")), b"", "malformed"),
    "will with QoS 3": (connect(will=("t/w", b"", 3)), b"", "malformed"),
    "will for a wildcard": (connect(will=("t/#", b"", 0)), b"", "topic"),
    "will with QoS 2, v5": (connect(level=5, will=("t/w", b"", 2)), connack_5(0x9B), "qos_2"),
    "will outside the topics": (connect(will=("other/w", b"", 0)), b"\x20\x02\x00\x05", "not_authorized"),
    "will outside the topics, v5": (connect(level=5, will=("other/w", b"", 0)), connack_5(0x87), "not_authorized"),
    "will for a $ topic": (connect(level=5, will=("$SYS/w", b"", 0)), connack_5(0x87), "not_authorized"),
    "password without user name": (connect(username=None), b"", "malformed"),
    "client id not UTF-8": (packet(0x10, text("MQTT") + b"\x04\x02\0\0" + text(b"\xff\xfe")), b"", "malformed"),
    "client id with NUL": (connect("a\0b"), b"", "malformed"),
    "client id too long": (connect("x" * 129), b"\x20\x02\x00\x02", "client_id"),
    "no client id, lasting": (connect("", clean=False), b"\x20\x02\x00\x02", "client_id"),
    "truncated fields": (packet(0x10, text("MQTT") + b"\x04\xc2\0\0" + text("x") + b"\0\x09abc"), b"", "malformed"),
    "trailing bytes": (packet(0x10, connect()[2:] + b"zz"), b"", "malformed"),
    "wrong password": (connect(password=b"wrong"), b"\x20\x02\x00\x05", "credentials"),
    "wrong password, v5": (connect(password=b"wrong", level=5), connack_5(0x86), "credentials"),
    "wrong password, hashed": (connect(username="hashed"), b"\x20\x02\x00\x05", "credentials"),
    "unknown user": (connect(username="nobody", level=5), connack_5(0x86), "credentials"),
    "no user": (connect(username=None, password=None), b"\x20\x02\x00\x05", "credentials"),
    "authentication method": (
        connect(level=5, properties=b"\x15" + text("X")),
        connack_5(0x8C),
        "authentication_method",
    ),
    "property twice": (connect(level=5, properties=b"\x21\0\x05\x21\0\x05"), connack_5(0x82), "protocol"),
    "receive maximum 0": (connect(level=5, properties=b"\x21\0\0"), connack_5(0x82), "protocol"),
    "foreign property": (connect(level=5, properties=b"\x23\0\1"), connack_5(0x81), "malformed"),
    "unknown property": (connect(level=5, properties=b"\x7e\0\1"), connack_5(0x81), "malformed"),
}


@pytest.mark.parametrize(("sent", "answer", "reason"), BEFORE_CONNECT.values(), ids=BEFORE_CONNECT)
async def test_a_client_that_may_not_in_is_told_and_counted(
    listen: Listen, sent: bytes, answer: bytes, reason: str
) -> None:
    running = await listen()
    device = await running.dial()
    await device.send(sent)
    assert await device.read_to_end() == answer
    assert running.listener.counters["refused"] == {reason: 1}
    assert not running.received


Properties = bytes | None
"""None for MQTT 3.1.1, which has none."""

# What is sent after CONNECT; the last words to an MQTT 5 client; the reason counted.
AFTER_CONNECT: dict[str, tuple[Callable[[Properties], bytes], int, str]] = {
    "second connect": (lambda _: connect(), 0x82, "protocol"),
    "five-byte varint": (lambda _: b"\x30\xff\xff\xff\xff\x7f", 0x81, "malformed"),
    "oversize": (lambda _: b"\x30\xff\xff\xff\x7f", 0x95, "too_large"),
    "empty topic": (lambda none: publish("", properties=none), 0x90, "topic"),
    "wildcard +": (lambda none: publish("t/+", properties=none), 0x90, "topic"),
    "wildcard #": (lambda none: publish("t/#", properties=none), 0x90, "topic"),
    "topic not UTF-8": (lambda none: publish(b"t/\xff", properties=none), 0x81, "malformed"),
    "topic with a surrogate": (lambda none: publish(b"t/\xed\xa0\x80", properties=none), 0x81, "malformed"),
    "topic with NUL": (lambda none: publish(b"t/\0", properties=none), 0x81, "malformed"),
    "topic longer than packet": (lambda _: packet(0x30, b"\xff\xfft/1"), 0x81, "malformed"),
    "publish of one byte": (lambda _: packet(0x30, b"\0"), 0x81, "malformed"),
    "QoS 1 without packet id": (lambda _: packet(0x32, text("t/1")), 0x81, "malformed"),
    "packet id 0": (lambda none: publish(packet_id=0, properties=none), 0x82, "protocol"),
    "QoS 3": (lambda none: publish(packet_id=1, qos=3, properties=none), 0x81, "malformed"),
    "DUP at QoS 0": (lambda none: publish(dup=True, properties=none), 0x81, "malformed"),
    "packet id in use": (lambda none: 2 * publish(packet_id=1, properties=none), 0x82, "protocol"),
    "puback from client": (lambda _: puback(1), 0x82, "protocol"),
    "reserved packet type": (lambda _: packet(0x00), 0x82, "protocol"),
    "auth": (lambda _: packet(0xF0), 0x82, "protocol"),
    "ping with flags": (lambda _: b"\xc1\x00", 0x81, "malformed"),
    "ping with body": (lambda _: packet(0xC0, b"x"), 0x81, "malformed"),
    "subscribe with flags 0": (lambda _: b"\x80" + subscribe("t")[1:], 0x81, "malformed"),
    "subscribe to nothing": (lambda none: packet(0x82, b"\0\1" + varint_of(none)), 0x82, "protocol"),
    "subscribe, packet id 0": (lambda none: subscribe("t", packet_id=0, is_v5=none is not None), 0x82, "protocol"),
    "subscribe to no filter": (lambda none: subscribe("t/#/u", is_v5=none is not None), 0x90, "topic"),
    "subscribe with QoS 3": (lambda none: subscribe("t", is_v5=none is not None)[:-1] + b"\3", 0x81, "malformed"),
}


def varint_of(properties: Properties) -> bytes:
    return b"" if properties is None else varint(len(properties))


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(("make", "code", "reason"), AFTER_CONNECT.values(), ids=AFTER_CONNECT)
async def test_bytes_that_mqtt_forbids_end_the_connection(
    listen: Listen, make: Callable[[Properties], bytes], code: int, reason: str, level: int
) -> None:
    running = await listen()
    device = await running.admitted(level=level)
    await device.send(make(b"" if level == 5 else None))
    assert await device.read_to_end() == (disconnect_5(code) if level == 5 else b"")
    assert running.listener.counters["refused"] == {reason: 1}
    assert len(running.received) == (1 if make is AFTER_CONNECT["packet id in use"][0] else 0)


async def test_qos_2_is_above_the_maximum_that_mqtt_5_is_announced(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted(level=5)
    await device.send(publish(packet_id=1, qos=2, properties=b""))
    assert await device.read_to_end() == disconnect_5(0x9B)
    assert running.listener.counters["refused"] == {"qos_2": 1}


async def test_a_topic_alias_is_one_more_than_announced(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted(level=5)
    await device.send(publish("", properties=b"\x23\0\1"))
    assert await device.read_to_end() == disconnect_5(0x94)


async def test_a_client_hears_of_every_limit_in_its_connack(listen: Listen) -> None:
    running = await listen(Limits(max_unacknowledged=7, max_packet_bytes=2048))
    device = await running.dial()
    await device.send(connect("", level=5))
    _, body = await device.read_packet()
    present, code, _, *properties = body
    assert (present, code) == (0, 0)
    announced = bytes(properties)
    for part in (b"\x21\0\x07", b"\x24\x01", b"\x27\0\0\x08\0", b"\x22\0\0", b"\x29\0", b"\x2a\0"):
        assert part in announced
    assert b"\x12\0\x15auto-" in announced, "Assigned Client Identifier"


async def test_a_topic_outside_the_acl_costs_a_5_client_that_message(listen: Listen) -> None:
    running = await listen(at_once=True)
    device = await running.admitted(level=5)
    await device.send(publish("other/1", packet_id=1, properties=b"") + publish("t/1", packet_id=2, properties=b""))
    assert await device.read_packet() == (0x40, b"\0\1\x87")
    assert await device.read_packet() == (0x40, b"\0\2")
    await device.send(publish("$SYS/x", packet_id=3, properties=b"") + publish("t", properties=b""))
    assert await device.read_packet() == (0x40, b"\0\3\x87")
    await running.count(2)
    assert [one.topic for one in running.received] == ["t/1", "t"]
    assert running.listener.counters["refused"] == {"not_authorized": 2}


async def test_a_topic_outside_the_acl_costs_a_3_1_1_client_the_connection(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted()
    await device.send(publish("t/1", b"before") + publish("other/1") + publish("t/1", b"after"))
    assert await device.read_to_end() == b""
    assert [one.payload for one in running.received] == [b"before"]
    assert running.listener.counters["refused"] == {"not_authorized": 1}


async def test_a_payload_of_10_mb_is_refused_on_its_header_and_never_held(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted(level=5)
    await device.send(b"\x30" + varint(10_000_000) + text("t/1") + b"x" * 100_000)
    assert await device.read_packet() == (0xE0, b"\x95")
    for _ in range(99):
        try:
            await device.send(b"x" * 100_000)
        except ConnectionError:
            break
    held = sum(len(one.session._pending) for one in running.listener._desk._connections)
    assert held == 0
    assert running.listener.counters["bytes"] < 1_000_000
    assert not running.received


async def test_a_packet_of_exactly_the_limit_is_taken(listen: Listen) -> None:
    running = await listen(Limits(max_packet_bytes=2048))
    device = await running.admitted()
    await device.send(publish("t/1", b"x" * (2048 - 3 - 5)))
    await running.count(1)
    await device.send(publish("t/1", b"x" * (2048 - 3 - 5 + 1)))
    assert await device.read_to_end() == b""
    assert running.refused("too_large") == 1


async def test_what_came_whole_before_a_truncated_packet_counts(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted()
    await device.send(publish("t/1", b"whole") + publish("t/1", b"cut in the middle")[:-4])
    await device.close()
    await until(lambda: running.listener.counters["connections"] == 0)
    assert [one.payload for one in running.received] == [b"whole"]


async def test_a_silent_connection_ends_without_a_connect(listen: Listen) -> None:
    running = await listen(Limits(connect_timeout_s=0.1, linger_s=0.1))
    device = await running.dial()
    await device.send(connect()[:5])
    assert await device.read_to_end() == b""
    assert running.listener.counters["refused"] == {"connect_timeout": 1}


@pytest.mark.parametrize(("level", "answer"), [(4, b""), (5, disconnect_5(0x8D))])
async def test_silence_for_one_and_a_half_keep_alives_ends_the_connection(
    listen: Listen, level: int, answer: bytes
) -> None:
    running = await listen()
    device = await running.admitted(level=level, keep_alive=1)
    loop = asyncio.get_running_loop()
    await device.send(PINGREQ)
    assert (await device.read_packet())[0] == 0xD0
    since = loop.time()
    assert await device.read_to_end() == answer
    assert 1.3 < loop.time() - since < 5
    assert running.listener.counters["refused"] == {"keep_alive": 1}


async def test_one_connection_too_many_is_closed_and_the_others_stay(listen: Listen) -> None:
    running = await listen(Limits(max_connections=1, linger_s=0.1))
    device = await running.admitted()
    surplus = await running.dial()
    assert await surplus.read_to_end() == b""
    await device.expect_silence()
    assert running.refused("too_many_connections") == 1


@pytest.mark.parametrize(("level", "answer"), [(4, b""), (5, disconnect_5(0x8E))])
async def test_a_second_connection_with_the_same_id_takes_over(listen: Listen, level: int, answer: bytes) -> None:
    running = await listen()
    older = await running.admitted("same", level=level)
    newer = await running.admitted("same", level=level)
    assert await older.read_to_end() == answer
    await newer.expect_silence()
    assert running.refused("taken_over") == 1
    assert running.listener.counters["deaths"] == 0


async def test_another_login_cannot_take_a_session_over(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted("same")
    other = await running.dial()
    await other.send(connect("same", username="mute", password=b"silent"))
    assert (await other.read_packet())[0] == 0x20
    await device.expect_silence()
    assert running.listener.counters["connections"] == 2


async def test_each_refusal_is_logged_once_and_names_no_topic(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "broker")
    running = await listen()
    for _ in range(3):
        device = await running.admitted()
        await device.send(publish("private/topic", b"private payload"))
        await device.read_to_end()
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("broker")]
    assert len(logged) == 1
    assert "private" not in logged[0]


async def test_a_free_port_is_free_at_every_address(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system gives at the first may be somebody else's at the second: another one is taken."""
    serve, asked = Listener._serve, []

    async def first_with_a_port_of_others(listener: Listener, host: str, port: int) -> int:
        asked.append((host, port))
        return await serve(listener, host, others if len(asked) == 1 else port)

    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        others = int(taken.getsockname()[1])
        monkeypatch.setattr(Listener, "_serve", first_with_a_port_of_others)
        running = await listen(addresses=Addresses(("127.0.0.1", "::1")))
    assert asked[:3] == [("127.0.0.1", 0), ("::1", others), ("127.0.0.1", 0)]
    assert asked[-1] == ("::1", running.port)
    assert running.port != others


async def test_a_port_that_is_taken_is_named_with_the_command_that_finds_the_culprit(listen: Listen) -> None:
    running = await listen()
    second = Listener(Addresses(["127.0.0.1"], running.port), credentials=Credentials([]), handler=running.handle)
    with pytest.raises(PortTaken, match=str(running.port)) as caught:
        await second.start()
    assert caught.value.code == "port_taken"
    assert "ss -ltnp" in caught.value.fix
    await second.stop()


async def test_an_address_of_another_machine_is_named(listen: Listen) -> None:
    running = await listen()
    elsewhere = Listener(Addresses(["192.0.2.1"]), credentials=Credentials([]), handler=running.handle)
    with pytest.raises(PortUnavailable, match=r"192\.0\.2\.1") as caught:
        await elsewhere.start()
    assert caught.value.code == "port_unavailable"
