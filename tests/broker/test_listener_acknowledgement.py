"""The one promise: PUBACK when, and only when, the owner has said that the message is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.limits import Limits
from broker.publications import Publication
from tests.broker.device import DISCONNECT, connect, publish
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.broker.conftest import Listen

LEVELS = pytest.mark.parametrize("level", [4, 5])


def properties(level: int) -> bytes | None:
    return b"" if level == 5 else None


@LEVELS
async def test_no_puback_comes_before_the_owner_acknowledges(listen: Listen, level: int) -> None:
    running = await listen()
    device = await running.admitted(level=level)
    await device.send(publish("t/1", b"one", packet_id=7, properties=properties(level)))
    await running.count(1)
    await device.expect_silence()
    running.acknowledge(running.tokens)
    assert await device.pubacks(1) == [7]
    assert running.listener.counters["acknowledged"] == 1


@LEVELS
async def test_a_publication_is_handed_on_with_all_its_marks(listen: Listen, level: int) -> None:
    running = await listen()
    device = await running.admitted("cam", level=level)
    none = properties(level)
    await device.send(publish("t/a", b"0", retain=True, properties=none))
    await device.send(publish("t/b", b"1", packet_id=513, dup=True, properties=none))
    await running.count(2)
    assert running.received == [
        Publication("t/a", b"0", 0, duplicate=False, retained=True),
        Publication("t/b", b"1", 513, duplicate=True, retained=False),
    ]
    assert [(one.session, one.generation) for one in running.tokens] == [("sensor/cam", 1)]


async def test_properties_of_a_publish_are_read_over(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted(level=5)
    marks = b"\x01\x01\x02\0\0\0\x3c\x03\0\x04json\x08\0\x01r\x09\0\x02\xff\xff" + 2 * b"\x26\0\x01k\0\x01v"
    await device.send(publish("t/1", b"payload", packet_id=1, properties=marks))
    await running.count(1)
    assert running.received[0].payload == b"payload"


async def test_pubacks_go_in_the_order_of_arrival_whatever_the_order_of_commits(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted()
    await device.send(b"".join(publish(packet_id=one) for one in (5, 3, 9, 1)))
    await running.count(4)
    by_id = {packet_id: token for token in running.tokens for packet_id in token.packet_ids}
    running.acknowledge([by_id[1], by_id[9], by_id[3]])
    await device.expect_silence()
    running.acknowledge([by_id[5]])
    assert await device.pubacks(4) == [5, 3, 9, 1]


async def test_a_refusal_by_the_acl_waits_for_its_turn_among_the_pubacks(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted(level=5)
    await device.send(publish(packet_id=1, properties=b"") + publish("other", packet_id=2, properties=b""))
    await running.count(1)
    await device.expect_silence()
    running.acknowledge(running.tokens)
    assert await device.read_packet() == (0x40, b"\0\1")
    assert await device.read_packet() == (0x40, b"\0\2\x87")


async def test_an_acknowledgement_from_before_a_reconnect_is_dropped(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted("one")
    await device.send(publish("t/1", b"first", packet_id=1))
    await running.count(1)
    await device.close()
    await until(lambda: running.listener.counters["connections"] == 0)
    again = await running.admitted("one")
    await again.send(publish("t/1", b"second", packet_id=1))
    await running.count(2)
    stale, fresh = running.tokens
    running.acknowledge([stale])
    await again.expect_silence()
    assert running.listener.counters["stale"] == 1
    running.acknowledge([fresh])
    assert await again.pubacks(1) == [1]


async def test_an_acknowledgement_after_a_take_over_is_dropped(listen: Listen) -> None:
    running = await listen()
    older = await running.admitted("one")
    await older.send(publish(packet_id=1))
    await running.count(1)
    newer = await running.admitted("one")
    running.acknowledge(running.tokens)
    assert await older.read_to_end() == b""
    await newer.expect_silence()


async def test_one_call_acknowledges_many_connections(listen: Listen) -> None:
    running = await listen()
    devices = [await running.admitted(f"dev-{index}") for index in range(3)]
    for device in devices:
        await device.send(publish(packet_id=1) + publish(packet_id=2))
    await running.count(6)
    running.acknowledge(running.tokens)
    for device in devices:
        assert await device.pubacks(2) == [1, 2]


async def test_an_acknowledgement_given_twice_is_sent_and_counted_once(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted()
    await device.send(publish(packet_id=1))
    await running.count(1)
    running.acknowledge(running.tokens * 2)
    running.acknowledge(running.tokens)
    assert await device.pubacks(1) == [1]
    await device.expect_silence()
    assert running.listener.counters["acknowledged"] == 1


async def test_what_one_read_brings_is_one_batch(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted()
    await device.send(b"".join(publish(packet_id=index) for index in range(1, 101)))
    await running.count(100)
    assert len(running.batches) < 10
    assert sum(running.batches) == 100


async def test_a_3_1_1_retry_on_the_same_connection_has_one_puback(listen: Listen) -> None:
    running = await listen()
    device = await running.admitted()
    await device.send(publish(packet_id=1) + publish(packet_id=1, dup=True))
    await running.count(1)
    await until(lambda: running.listener.counters["resent"] == 1)
    running.acknowledge(running.tokens)
    assert await device.pubacks(1) == [1]
    await device.expect_silence()


async def test_what_stands_behind_connect_is_taken_once_the_client_is_admitted(listen: Listen) -> None:
    running = await listen(at_once=True)
    device = await running.dial()
    await device.send(connect(username="hashed", password=b"hidden") + publish("h/1", packet_id=1) + DISCONNECT)
    assert await device.read_to_end() == b"\x20\x02\0\0"
    await running.count(1)
    assert running.listener.counters["stale"] == 1, "the client left before its PUBACK"


async def test_nothing_behind_a_refused_connect_is_taken(listen: Listen) -> None:
    running = await listen()
    device = await running.dial()
    await device.send(connect(username="hashed", password=b"wrong") + publish("h/1", packet_id=1))
    assert await device.read_to_end() == b"\x20\x02\0\x05"
    assert not running.received


@LEVELS
async def test_a_lasting_session_is_present_again_until_a_clean_start(listen: Listen, level: int) -> None:
    running = await listen()
    lasting = b"\x11\0\0\0\x3c" if level == 5 else b""
    answers = []
    for clean in (False, False, True, True):
        device = await running.dial()
        await device.send(connect("p", level=level, clean=clean, properties=b"" if clean else lasting))
        _, body = await device.read_packet()
        answers.append(body[0])
        await device.send(DISCONNECT)
        await device.close()
        await until(lambda: running.listener.counters["connections"] == 0)
    assert answers == [0, 1, 0, 0]


async def test_a_session_of_no_length_is_not_present_again(listen: Listen) -> None:
    running = await listen()
    for _ in range(2):
        device = await running.dial()
        await device.send(connect("p", level=5, clean=False))
        assert (await device.read_packet())[1][0] == 0
        await device.close()
        await until(lambda: running.listener.counters["connections"] == 0)


async def test_a_disconnect_may_end_a_session_but_not_lengthen_one_of_no_length(listen: Listen) -> None:
    running = await listen()
    device = await running.dial()
    await device.send(connect("p", level=5, clean=False, properties=b"\x11\0\0\0\x3c"))
    await device.read_packet()
    await device.send(b"\xe0\x07\x00\x05\x11\0\0\0\0")
    assert await device.read_to_end() == b""
    device = await running.dial()
    await device.send(connect("p", level=5, clean=False))
    assert (await device.read_packet())[1][0] == 0
    await device.send(b"\xe0\x07\x00\x05\x11\0\0\0\x3c")
    assert await device.read_to_end() == b"\xe0\x01\x82"


async def test_a_session_known_from_before_this_process_is_present(listen: Listen) -> None:
    running = await listen(remembered={"sensor/p": ()})
    device = await running.dial()
    await device.send(connect("p", clean=False))
    assert (await device.read_packet())[1][0] == 1


async def test_stop_tells_the_clients_and_frees_the_port(listen: Listen) -> None:
    running = await listen(Limits(linger_s=0.1))
    old, new = await running.admitted("a"), await running.admitted("b", level=5)
    await new.send(publish(packet_id=1, properties=b""))
    await running.count(1)
    await running.listener.stop()
    assert await old.read_to_end() == b""
    assert await new.read_to_end() == b"\xe0\x01\x8b"
    running.acknowledge(running.tokens)
    assert running.listener.counters["stale"] == 1
    assert running.listener.counters["connections"] == 0
