"""Real clients that wait for commands: they hear what is kept and what the owner asks; what they may not is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.programs import MOSQUITTO_CLIENTS
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.broker.conftest import Listen

STATUS: Final = "homeassistant/status"


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5], ids=["3.1.1", "5"])
async def test_aiomqtt_hears_what_is_kept_and_is_told_what_it_may_not(
    listen: Listen, version: aiomqtt.ProtocolVersion
) -> None:
    running = await listen()
    async with aiomqtt.Client(
        "127.0.0.1", running.port, username="sensor", password="secret", identifier="aio", protocol=version
    ) as client:
        await client.subscribe(STATUS, qos=1, timeout=10)
        async with asyncio.timeout(10):
            message = await anext(client.messages)
        assert (str(message.topic), message.payload, message.retain) == (STATUS, b"online", True)
        refused = await client.subscribe("#", timeout=10)
        assert [code if isinstance(code, int) else code.value for code in refused] in ([0x80], [0x87])


@pytest.mark.parametrize("level", [4, 5], ids=["3.1.1", "5"])
async def test_paho_hears_what_is_kept_and_is_told_what_it_may_not(listen: Listen, level: int) -> None:
    running = await listen()
    version = MQTTProtocolVersion.MQTTv5 if level == 5 else MQTTProtocolVersion.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, "paho", protocol=version)
    client.username_pw_set("sensor", "secret")
    heard: list[tuple[str, bytes, bool]] = []
    wanted = [(STATUS, 1), ("t/lamp/set", 2), ("other/#", 0)]
    answers: list[list[bool]] = []
    client.on_message = lambda _c, _u, message: heard.append((message.topic, bytes(message.payload), message.retain))
    client.on_subscribe = lambda _c, _u, _m, codes, _p: answers.append([code.is_failure for code in codes])
    await asyncio.to_thread(client.connect, "127.0.0.1", running.port)
    client.loop_start()
    await until(client.is_connected)
    client.subscribe(wanted)
    await until(lambda: heard and answers)
    client.disconnect()
    client.loop_stop()
    assert (heard, answers) == ([(STATUS, b"online", True)], [[False, False, True]])


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5], ids=["3.1.1", "5"])
async def test_what_the_owner_asks_reaches_who_is_heard_there_and_nobody_else(
    listen: Listen, version: aiomqtt.ProtocolVersion
) -> None:
    """Who may publish where the message was heard, may hear the topic, and has subscribed to it."""
    running = await listen()
    assert not running.listener.publish("t/lamp/get", b"say", heard_at="t/lamp")
    async with aiomqtt.Client(
        "127.0.0.1", running.port, username="sensor", password="secret", identifier="aio", protocol=version
    ) as client:
        assert not running.listener.publish("t/lamp/get", b"say", heard_at="t/lamp")
        await client.subscribe("t/+/get", qos=1, timeout=10)
        assert not running.listener.publish("t/lamp/get", b"say", heard_at="h/lamp"), "heard from somebody else"
        assert not running.listener.publish("t/lamp", b"say", heard_at="t/lamp"), "no topic of its commands"
        assert not running.listener.publish("t/lamp/set", b"say", heard_at="t/lamp"), "not subscribed to"
        assert running.listener.publish("t/lamp/get", b"say again", heard_at="t/lamp")
        async with asyncio.timeout(10):
            message = await anext(client.messages)
        told = (str(message.topic), message.payload, message.qos, message.retain)
        assert told == ("t/lamp/get", b"say again", 0, False)
    await until(lambda: not running.listener.counters["connections"])
    assert not running.listener.publish("t/lamp/get", b"say", heard_at="t/lamp")


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", ["311", "5"])
async def test_mosquitto_sub_hears_what_is_kept(listen: Listen, version: str) -> None:
    running = await listen()
    program = MOSQUITTO_CLIENTS.find()
    assert program is not None
    args = ("-h", "127.0.0.1", "-p", str(running.port), "-V", version, "-u", "sensor", "-P", "secret", "-q", "1")
    process = await asyncio.create_subprocess_exec(
        program, *args, "-t", STATUS, "-C", "1", "-F", "%t %r %p", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(10):
        told, _ = await process.communicate()
    assert (process.returncode, told) == (0, b"homeassistant/status 1 online\n")
    assert running.listener.counters["refused"] == {}
