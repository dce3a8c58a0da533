"""How the listener slows its clients down instead of dropping what they say."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from broker.limits import Limits
from tests.broker.device import PINGREQ, connect, publish
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.broker.conftest import Listen
    from tests.broker.device import Device

BIG = b"x" * 60_000


async def test_a_3_1_1_client_is_read_no_further_than_its_unacknowledged_window(listen: Listen) -> None:
    running = await listen(Limits(max_unacknowledged=4, linger_s=0.1))
    device, witness = await running.admitted(), await running.admitted("witness")
    packets = b"".join(publish("t/1", BIG, packet_id=index) for index in range(1, 201))
    writing = asyncio.create_task(device.send(packets))
    await until(lambda: len(running.received) >= 4)
    for _ in range(20):
        await witness.expect_silence()  # the loop has gone round, and has read what it would
    assert len(running.received) == 4
    running.at_once = True
    running.acknowledge(running.tokens)
    await writing
    assert await device.pubacks(200) == list(range(1, 201)), "nothing is lost"


async def test_the_total_of_unacknowledged_holds_every_busy_connection(listen: Listen) -> None:
    running = await listen(Limits(max_unacknowledged_total=4, linger_s=0.1))
    first, second = await running.admitted("a"), await running.admitted("b")
    await first.send(b"".join(publish(packet_id=index) for index in range(1, 5)))
    await running.count(4)
    await second.send(publish(packet_id=1))
    await running.count(5)
    await second.send(publish(packet_id=2))
    await first.send(publish(packet_id=5))
    third = await running.admitted("c")
    await third.expect_silence()
    assert len(running.received) == 5, "both are held"
    assert running.listener.counters["unacknowledged"] == 5
    running.acknowledge(running.tokens)
    await running.count(7)
    assert await first.pubacks(4) == [1, 2, 3, 4]
    assert await second.pubacks(1) == [1]


async def test_a_connection_that_goes_gives_its_share_of_the_total_back(listen: Listen) -> None:
    running = await listen(Limits(max_unacknowledged_total=2, linger_s=0.1))
    first, second = await running.admitted("a"), await running.admitted("b")
    await second.send(publish(packet_id=1))
    await running.count(1)
    await first.send(publish(packet_id=1))
    await running.count(2)
    await first.send(publish(packet_id=2))
    await running.admitted("b")
    await running.count(3)


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_beyond_the_window_waits_and_nothing_is_lost(listen: Listen, level: int, at_once: bool) -> None:
    """All in one read, with a PINGREQ in its place: Receive Maximum is what is handed on, never what is taken."""
    running = await listen(Limits(max_unacknowledged=3), at_once=at_once)
    device = await running.admitted(level=level)
    properties = b"" if level == 5 else None
    packets = [publish("t/1", b"%d" % index, packet_id=index, properties=properties) for index in range(1, 11)]
    await device.send(b"".join([*packets[:5], PINGREQ, *packets[5:]]))
    answers: list[tuple[int, int]] = []
    while len(answers) < 11:
        if not at_once and len(answers) not in (5, 11):
            await until(lambda: running.tokens)
            assert running.listener.counters["unacknowledged"] <= 3
            token = running.tokens.pop(0)
            running.acknowledge([token])
        first, body = await device.read_packet()
        answers.append((first, int.from_bytes(body, "big")))
    pubacks = [(0x40, index) for index in range(1, 11)]
    assert [one for one in answers if one[0] == 0x40] == pubacks
    assert answers.index((0xD0, 0)) >= (0 if at_once else 2), "behind the five it came behind: two had to make room"
    assert [one.payload for one in running.received] == [b"%d" % index for index in range(1, 11)]
    assert running.listener.counters["refused"] == {}


async def test_what_waits_is_not_handed_on_while_the_owner_holds(listen: Listen) -> None:
    running = await listen(Limits(max_unacknowledged=2))
    device, witness = await running.admitted(), await running.admitted("witness")
    await device.send(b"".join(publish(packet_id=index) for index in range(1, 6)))
    await running.count(2)
    running.listener.hold()
    running.acknowledge(running.tokens)
    assert await device.pubacks(2) == [1, 2]
    await asyncio.sleep(0)
    assert len(running.received) == 2
    running.listener.resume()
    await running.count(4)
    await witness.expect_silence()


async def test_a_5_client_may_use_its_receive_maximum_again_after_pubacks(listen: Listen) -> None:
    running = await listen(Limits(max_unacknowledged=3), at_once=True)
    device = await running.admitted(level=5)
    for start in (1, 4, 7):
        await device.send(b"".join(publish(packet_id=index, properties=b"") for index in range(start, start + 3)))
        assert await device.pubacks(3) == [start, start + 1, start + 2]


async def test_a_client_that_is_too_fast_is_read_at_its_rate_and_loses_nothing(listen: Listen) -> None:
    running = await listen(Limits(publications_per_s=200.0, publications_burst=10))
    device = await running.admitted()
    loop = asyncio.get_running_loop()
    since = loop.time()
    for index in range(60):
        await device.send(publish("t/1", b"%d" % index) + PINGREQ)
        assert await device.read_packet() == (0xD0, b"")
    assert loop.time() - since > 0.2, "50 beyond the burst at 200 a second"
    assert [one.payload for one in running.received] == [b"%d" % index for index in range(60)]


async def test_a_client_that_is_held_back_is_not_taken_for_dead(listen: Listen) -> None:
    running = await listen(Limits(publications_per_s=1.0, publications_burst=1))
    device = await running.admitted(keep_alive=1)
    await device.send(publish() + publish() + publish())
    await running.count(3)
    await device.send(publish())
    await running.count(4)
    assert "keep_alive" not in running.listener.counters["refused"]


async def test_a_client_that_reads_no_pubacks_is_not_read_either(listen: Listen) -> None:
    running = await listen(Limits(publications_per_s=1e9, publications_burst=10**9), at_once=True)
    for plug in running.listener._servers[0].sockets:  # else the kernel takes megabytes of PUBACKs before we keep one
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    device = await running.dial(receive_buffer=4_096)
    await device.send(connect())
    packets = b"".join(publish("t/1", b"", packet_id=index) for index in range(1, 60_001))
    writing = asyncio.create_task(_send_until_cancelled(device, packets))
    await until(lambda: running.listener.counters["connects"], what="the device is in")
    connection = next(iter(running.listener._desk._connections))
    await until(lambda: connection._holds, 60, "reading stops")
    assert connection._transport.get_write_buffer_size() < 1_000_000
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    device.writer.transport.abort()


async def _send_until_cancelled(device: Device, packets: bytes) -> None:
    while True:
        await device.send(packets)


async def test_passwords_are_not_checked_for_more_clients_than_may_connect(listen: Listen) -> None:
    running = await listen(Limits(max_connections=2, linger_s=0.1))
    desk, go = running.listener._desk, threading.Event()
    desk._checker.submit(go.wait, 10)
    for _ in range(2):
        leaver = await running.dial()
        await leaver.send(connect(username="hashed", password=b"guess"))
    await until(lambda: desk._checks == 2)
    for connection in tuple(desk._connections):
        connection._transport.abort()
    await until(lambda: not desk._connections)
    device = await running.dial()
    await device.send(connect(username="hashed", password=b"hidden"))
    assert await device.read_to_end() == b"\x20\x02\0\x03"
    assert running.listener.counters["refused"] == {"busy": 1}
    go.set()
    await until(lambda: not desk._checks)


async def test_a_storm_of_reconnects_pays_for_scrypt_once(listen: Listen) -> None:
    running = await listen()
    checked = 0
    verify = running.listener._desk._credentials.verify

    def counted(client: str, password: bytes) -> bool:
        nonlocal checked
        checked += 1
        return verify(client, password)

    running.listener._desk._credentials.verify = counted  # type: ignore[method-assign]  # counts what really runs
    for index in range(50):
        device = await running.dial()
        await device.send(connect(f"c{index}", username="hashed", password=b"hidden"))
        assert (await device.read_packet())[1] == b"\0\0"
    assert checked == 1
