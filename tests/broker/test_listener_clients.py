"""Real MQTT clients against the listener."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.limits import Limits
from tests.support.programs import MOSQUITTO_CLIENTS
from tests.support.waiting import until

if TYPE_CHECKING:
    from broker.publications import Publications
    from tests.broker.conftest import Listen, Running

VERSIONS: Final = pytest.mark.parametrize(
    "version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5], ids=["3.1.1", "5"]
)


class Paho:
    """paho's own loop in its own thread, as most devices and gateways run it."""

    def __init__(self, port: int, version: MQTTProtocolVersion, client_id: str = "paho", *, password: str) -> None:
        is_v5 = version == MQTTProtocolVersion.MQTTv5
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=version, clean_session=None if is_v5 else False
        )
        self.client.username_pw_set("sensor", password)
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.connected = threading.Event()
        self.answers: list[ReasonCode] = []
        self.ends: list[ReasonCode] = []
        clean_start: Final = False if is_v5 else paho.MQTT_CLEAN_START_FIRST_ONLY
        self.client.connect("127.0.0.1", port, clean_start=clean_start)
        self.client.loop_start()

    def _connected(self, _c: object, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        self.answers.append(reason)
        if not reason.is_failure:
            self.connected.set()

    def _disconnected(self, _c: object, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        self.connected.clear()
        self.ends.append(reason)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
async def running(listen: Listen) -> Running:
    return await listen()


@VERSIONS
async def test_paho_has_its_messages_published_once_they_are_acknowledged(
    running: Running, version: MQTTProtocolVersion
) -> None:
    device = Paho(running.port, version, password="secret")
    sent = [device.client.publish(f"t/{index}", f"{index}", qos=1) for index in range(20)]
    await running.count(20)
    assert not any(one.is_published() for one in sent)
    running.acknowledge(running.tokens)
    await until(lambda: all(one.is_published() for one in sent))
    assert [one.payload for one in running.received] == [b"%d" % index for index in range(20)]
    device.close()


@VERSIONS
async def test_paho_sends_again_what_was_not_acknowledged_when_the_line_broke(
    running: Running, version: MQTTProtocolVersion
) -> None:
    device = Paho(running.port, version, password="secret")
    sent = device.client.publish("t/1", "once", qos=1)
    await running.count(1)
    for connection in tuple(running.listener._desk._connections):
        connection._transport.abort()
    await running.count(2)
    first, second = running.received
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.packet_id == second.packet_id
    before, after = running.tokens
    assert before.session == after.session == "sensor/paho"
    assert before.generation < after.generation
    running.acknowledge([before])
    running.acknowledge([after])
    await until(sent.is_published)
    device.close()


@VERSIONS
async def test_paho_gets_rid_of_what_it_kept_while_it_was_away(listen: Listen, version: MQTTProtocolVersion) -> None:
    """It sends all of it at once, whatever Receive Maximum says: taken once each, and nobody is sent away."""
    running = await listen(Limits(max_unacknowledged=100))
    loop, taken = asyncio.get_running_loop(), running.handle

    def handle(publications: Publications) -> None:
        taken(publications)
        loop.call_later(0.01, running.listener.acknowledge, publications)

    running.listener._desk._handler = handle
    is_v5 = version == MQTTProtocolVersion.MQTTv5
    client = paho.Client(CallbackAPIVersion.VERSION2, "away", protocol=version, clean_session=None if is_v5 else False)
    client.username_pw_set("sensor", "secret")
    published: list[int] = []
    client.on_publish = lambda _c, _u, packet_id, _r, _p: published.append(packet_id)
    for number in range(3_000):
        client.publish("t/1", f"{number}", qos=1)
    client.connect_async("127.0.0.1", running.port)
    client.loop_start()
    await until(lambda: len(published) == 3_000, 30)
    client.disconnect()
    client.loop_stop()
    assert [int(one.payload) for one in running.received] == list(range(3_000))
    assert running.listener.counters["refused"] == {}


@VERSIONS
async def test_paho_hears_that_its_password_is_wrong(running: Running, version: MQTTProtocolVersion) -> None:
    device = Paho(running.port, version, password="guess")
    await until(lambda: device.answers)
    assert device.answers[0].getName() in ("Bad user name or password", "Not authorized")
    device.close()
    assert not running.received


async def test_paho_hears_which_message_was_not_its_to_send(running: Running) -> None:
    device = Paho(running.port, MQTTProtocolVersion.MQTTv5, password="secret")
    reasons: list[str] = []
    device.client.on_publish = lambda _c, _u, _m, reason, _p: reasons.append(reason.getName())
    await until(device.connected.is_set)
    device.client.publish("private/1", "x", qos=1)
    await until(lambda: reasons)
    assert reasons == ["Not authorized"]
    assert device.client.is_connected()
    device.close()


async def test_paho_hears_why_qos_2_ended_its_connection(running: Running) -> None:
    device = Paho(running.port, MQTTProtocolVersion.MQTTv5, password="secret")
    await until(device.connected.is_set)
    device.client.publish("t/1", "x", qos=2)
    await until(lambda: device.ends)
    assert device.ends[0] == ReasonCode(PacketTypes.DISCONNECT, identifier=0x9B)
    device.close()


async def test_paho_may_put_every_property_on_a_message(running: Running) -> None:
    device = Paho(running.port, MQTTProtocolVersion.MQTTv5, password="secret")
    make: Any = Properties  # without type information in paho
    marks = make(PacketTypes.PUBLISH)
    marks.PayloadFormatIndicator = 1
    marks.MessageExpiryInterval = 60
    marks.ContentType = "application/json"
    marks.ResponseTopic = "t/answer"
    marks.CorrelationData = b"\x01\x02"
    marks.UserProperty = [("a", "b"), ("a", "c")]
    device.client.publish("t/1", "{}", qos=1, retain=True, properties=marks)
    await running.count(1)
    assert running.received[0].payload == b"{}"
    assert running.received[0].retained
    device.close()


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5], ids=["3.1.1", "5"])
async def test_aiomqtt_publishes_and_is_answered(listen: Listen, version: aiomqtt.ProtocolVersion) -> None:
    running = await listen(at_once=True)
    async with aiomqtt.Client(
        "127.0.0.1", running.port, username="sensor", password="secret", identifier="aio", protocol=version
    ) as client:
        await asyncio.gather(*(client.publish(f"t/{index}", b"x", qos=1, timeout=10) for index in range(30)))
    assert sorted(one.topic for one in running.received) == sorted(f"t/{index}" for index in range(30))
    assert {one.session for one in running.tokens} == {"sensor/aio"}


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", ["311", "5"])
async def test_mosquitto_pub_ends_well_only_when_its_message_was_acknowledged(running: Running, version: str) -> None:
    found = MOSQUITTO_CLIENTS.find()
    assert found is not None
    program = found.removesuffix("sub") + "pub"
    args = ["-h", "127.0.0.1", "-p", str(running.port), "-V", version, "-u", "sensor", "-P", "secret", "-q", "1"]
    process = await asyncio.create_subprocess_exec(program, *args, "-t", "t/1", "-m", "hello")
    await running.count(1)
    assert process.returncode is None
    running.acknowledge(running.tokens)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


@pytest.mark.mosquitto
async def test_mosquitto_pub_is_told_that_a_topic_is_not_its_own(running: Running) -> None:
    found = MOSQUITTO_CLIENTS.find()
    assert found is not None
    args = ["-h", "127.0.0.1", "-p", str(running.port), "-V", "5", "-u", "sensor", "-P", "secret", "-q", "1"]
    process = await asyncio.create_subprocess_exec(
        found.removesuffix("sub") + "pub", *args, "-t", "not/mine", "-m", "x", stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(10):
        _, stderr = await process.communicate()
    assert b"Not authorized" in stderr
