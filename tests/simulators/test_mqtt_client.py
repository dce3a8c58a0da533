"""A device's MQTT client, against a server that records packets, forgets sessions and dies; and real Mosquitto."""

from __future__ import annotations

import asyncio
import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from simulators import mqtt_client
from simulators.broker_watch import BrokerNews, BrokerWatch
from simulators.mqtt_client import DeviceClient
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulators.recorder import Publish, Recorder
    from tests.support.mosquitto import Mosquitto

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
both = pytest.mark.parametrize("protocol", [V5, V311])


class Device:
    def __init__(self, client: DeviceClient) -> None:
        self.client = client
        self.confirmed: list[int] = []

    def say(self, *numbers: int) -> None:
        for number in numbers:
            self.client.offer("t/d", b"%d" % number, functools.partial(self.confirmed.append, number))


@asynccontextmanager
async def device(
    port: int, protocol: MQTTProtocolVersion = V5, watch: BrokerWatch | None = None, name: str = "d"
) -> AsyncIterator[Device]:
    client = DeviceClient(name, "secret", ("127.0.0.1", port), protocol=protocol, watch=watch)
    running = asyncio.create_task(client.run())
    try:
        yield Device(client)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()


def payloads(publishes: list[Publish]) -> list[int]:
    return [int(publish.payload) for publish in publishes]


@both
async def test_asks_for_a_session_that_outlives_the_connection(
    recorder: Recorder, protocol: MQTTProtocolVersion
) -> None:
    async with device(recorder.port, protocol):
        await until(lambda: recorder.connects)
    connect = recorder.connects[0]
    assert (connect.client, connect.username, connect.password) == ("d", "d", "secret")
    assert (connect.level, connect.clean) == ((5, False) if protocol == V5 else (4, False))
    assert connect.session_expiry == (86_400 if protocol == V5 else None)


@both
async def test_what_is_said_arrives_once_in_order_at_qos_1_and_is_confirmed(
    recorder: Recorder, protocol: MQTTProtocolVersion
) -> None:
    async with device(recorder.port, protocol) as d:
        d.say(*range(1000))
        await until(lambda: len(d.confirmed) == 1000)
    assert payloads(recorder.publishes) == list(range(1000)) == d.confirmed
    assert {(publish.qos, publish.dup) for publish in recorder.publishes} == {(1, False)}


@both
async def test_unacknowledged_messages_come_again_as_the_same_message(
    recorder: Recorder, protocol: MQTTProtocolVersion
) -> None:
    """The server forgot the session; the device still sends again: same packet id, same bytes, DUP=1."""
    recorder.acknowledges = lambda publish: int(publish.payload) < 3 or publish.dup or int(publish.payload) > 9
    recorder.hangs_up = lambda publish: int(publish.payload) == 9 and not publish.dup
    async with device(recorder.port, protocol) as d:
        d.say(*range(10))
        await until(lambda: len(recorder.connects) == 2)
        d.say(10, 11)
        await until(lambda: d.client.waiting == 0, what="everything confirmed")
    first = {publish.payload: publish for publish in recorder.publishes if not publish.dup}
    again = [publish for publish in recorder.publishes if publish.dup]
    assert set(range(3, 10)) <= set(payloads(again)) <= set(range(10))
    for publish in again:
        assert publish.packet_id == first[publish.payload].packet_id
    assert sorted(d.confirmed) == list(range(12))


async def test_messages_wait_for_a_broker_that_is_not_there_yet(recorder: Recorder) -> None:
    await recorder.close()
    async with device(recorder.port) as d:
        d.say(*range(500))
        await asyncio.sleep(0)
        assert d.client.waiting == 500
        await recorder.open()
        await until(lambda: len(d.confirmed) == 500)
    assert payloads(recorder.publishes) == list(range(500))


async def test_no_message_is_lost_or_confirmed_twice_over_many_hang_ups(recorder: Recorder) -> None:
    hang_ups = {100, 101, 250, 777, 1500}

    def hang_up(publish: Publish) -> bool:
        number = int(publish.payload)
        strikes = number in hang_ups
        hang_ups.discard(number)
        return strikes

    recorder.hangs_up = hang_up
    async with device(recorder.port) as d:
        d.say(*range(2000))
        await until(lambda: d.client.waiting == 0, 20)
    assert sorted(d.confirmed) == list(range(2000))
    first_seen = list(dict.fromkeys(payloads(recorder.publishes)))
    assert first_seen == list(range(2000))
    assert len(recorder.connects) == 6


@pytest.mark.parametrize(("receive_maximum", "most"), [(10, 10), (None, mqtt_client._WINDOW)])
async def test_no_more_is_under_way_than_the_broker_takes(
    recorder: Recorder, receive_maximum: int | None, most: int
) -> None:
    recorder.receive_maximum = receive_maximum
    recorder.acknowledges = lambda _: False
    async with device(recorder.port) as d:
        d.say(*range(1000))
        await until(lambda: recorder.unacknowledged == most)
        await asyncio.sleep(0.05)  # a client without the limit would send on
        assert recorder.most_unacknowledged == most


async def test_message_that_the_broker_refuses_is_counted_and_not_confirmed(recorder: Recorder) -> None:
    recorder.puback_reason = 0x87
    async with device(recorder.port) as d:
        d.say(1, 2)
        await until(lambda: d.client.refused == 2)
        assert (d.confirmed, d.client.waiting) == ([], 0)


async def test_refused_connection_is_told_of_and_tried_again(recorder: Recorder) -> None:
    recorder.connack_reason = 0x86
    news: list[BrokerNews] = []
    async with device(recorder.port, watch=BrokerWatch(news.append)) as d:
        d.say(1)
        await until(lambda: len(recorder.connects) >= 3)
        recorder.connack_reason = 0
        await until(lambda: d.confirmed)
    assert news == [
        BrokerNews(is_away=True, client="d", why="the broker refuses the connection: Bad user name or password"),
        BrokerNews(is_away=False, client="d"),
    ]


async def test_full_queue_holds_the_device_back_until_there_is_room(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_client, "MOST_WAITING", 20)
    recorder.acknowledges = lambda _: False
    async with device(recorder.port) as d:
        d.say(*range(20))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await d.client.has_room()
        await recorder.close()
        recorder.acknowledges = lambda _: True
        await recorder.open()
        async with asyncio.timeout(10):
            await d.client.has_room()


@both
@pytest.mark.mosquitto
async def test_commands_are_heard_at_every_connection(mosquitto: Mosquitto, protocol: MQTTProtocolVersion) -> None:
    heard: list[bytes] = []
    async with device(mosquitto.port, protocol) as d, device(mosquitto.port, protocol, name="other") as other:
        d.client.listen("c/d", heard.append)

        def is_heard(payload: bytes) -> bool:
            """Once it has subscribed; nobody is told when that is."""
            other.client.offer("c/other", b"for another", lambda: None)
            other.client.offer("c/d", payload, lambda: None)
            return payload in heard

        for payload in (b"first", b"second"):
            d.client.power_off()
            await until(lambda: d.client.is_connected)
            await until(functools.partial(is_heard, payload))
    assert set(heard) == {b"first", b"second"}


@both
@pytest.mark.mosquitto
async def test_everything_is_confirmed_by_a_mosquitto_that_is_killed_and_started_again(
    mosquitto: Mosquitto, protocol: MQTTProtocolVersion
) -> None:
    async with device(mosquitto.port, protocol) as d:
        d.say(*range(3000))
        await until(lambda: len(d.confirmed) > 200)
        await asyncio.to_thread(mosquitto.stop)
        d.say(*range(3000, 4000))
        await until(lambda: not d.client.is_connected)
        assert d.client.waiting > 0
        await asyncio.to_thread(mosquitto.start)
        await until(lambda: d.client.waiting == 0, 20, "everything confirmed")
    assert sorted(d.confirmed) == list(range(4000))
