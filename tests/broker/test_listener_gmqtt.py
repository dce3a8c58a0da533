"""gmqtt against the listener: a client whose codec is its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import gmqtt
import pytest
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import TypeAlias

    from tests.broker.conftest import Listen, Running

    Connect: TypeAlias = Callable[..., Awaitable[gmqtt.Client]]

STATUS: Final = "homeassistant/status"
LEVELS: Final = pytest.mark.parametrize("level", [4, 5], ids=["3.1.1", "5"])


@pytest.fixture
async def gmqtt_client() -> AsyncIterator[Connect]:
    """Connects gmqtt clients; they say goodbye when the test is over."""
    clients: list[gmqtt.Client] = []

    async def connect(running: Running, level: int, password: str = "secret", **options: object) -> gmqtt.Client:
        client = gmqtt.Client("gmqtt", **options)
        client.set_auth_credentials("sensor", password)
        client.set_config({"reconnect_retries": 3, "reconnect_delay": 0})
        clients.append(client)
        async with asyncio.timeout(10):
            await client.connect("127.0.0.1", running.port, version=MQTTv50 if level == 5 else MQTTv311)
        return client

    yield connect
    for client in clients:
        if client._connection is not None:
            await client.disconnect()


@LEVELS
async def test_gmqtt_keeps_a_message_until_it_is_acknowledged(
    listen: Listen, gmqtt_client: Connect, level: int
) -> None:
    running = await listen()
    client = await gmqtt_client(running, level)
    for number in range(20):
        client.publish(f"t/{number}", f"{number}", qos=1)
    await running.count(20)
    assert len(client._persistent_storage.get_all()) == 20
    running.acknowledge(running.tokens)
    async with asyncio.timeout(10):
        await client._persistent_storage.wait_empty()
    assert [one.payload for one in running.received] == [b"%d" % number for number in range(20)]


@LEVELS
async def test_gmqtt_sends_again_what_was_not_acknowledged_when_the_line_broke(
    listen: Listen, gmqtt_client: Connect, level: int
) -> None:
    running = await listen()
    lasting = {"session_expiry_interval": 60} if level == 5 else {}
    client = await gmqtt_client(running, level, clean_session=False, **lasting)
    client.publish("t/1", "once", qos=1)
    await running.count(1)
    for connection in tuple(running.listener._desk._connections):
        connection._transport.abort()
    await running.count(2)
    first, second = running.received
    assert (first.packet_id, first.payload) == (second.packet_id, second.payload)
    assert not second.duplicate, "gmqtt sets no DUP, against [MQTT-3.3.1-1]: its copy is a message of its own"
    running.acknowledge(running.tokens)
    async with asyncio.timeout(10):
        await client._persistent_storage.wait_empty()


async def test_gmqtt_finishes_its_exchange_at_qos_2(listen: Listen, gmqtt_client: Connect) -> None:
    running = await listen(at_once=True)
    client = await gmqtt_client(running, 4)
    client.publish("t/1", "once", qos=2)
    await running.count(1)
    await until(lambda: running.listener._desk._by_session["sensor/gmqtt"].session.unacknowledged == 0)
    client.publish("t/2", "then", qos=1)
    await running.count(2)
    assert [one.topic for one in running.received] == ["t/1", "t/2"]


@LEVELS
async def test_gmqtt_leaves_a_will_and_takes_it_back(listen: Listen, gmqtt_client: Connect, level: int) -> None:
    running = await listen()
    for is_killed in (False, True):
        client = await gmqtt_client(running, level, will_message=gmqtt.Message("t/will", "gone", qos=1, retain=True))
        if is_killed:
            client._is_active = False  # it would come back at once
            running.listener._desk._by_session["sensor/gmqtt"]._transport.abort()
        else:
            await client.disconnect()
        await until(lambda: running.listener.counters["connections"] == 0)
    assert running.presences == [("sensor", "t/will", False)]


@LEVELS
async def test_gmqtt_hears_what_is_kept(listen: Listen, gmqtt_client: Connect, level: int) -> None:
    running = await listen()
    client = await gmqtt_client(running, level)
    heard: list[tuple[str, bytes]] = []

    def on_message(_client: object, topic: str, payload: bytes, _qos: int, _properties: object) -> int:
        heard.append((topic, payload))
        return 0

    client.on_message = on_message
    client.subscribe(STATUS, qos=1)
    await until(lambda: heard)
    assert heard == [(STATUS, b"online")]
