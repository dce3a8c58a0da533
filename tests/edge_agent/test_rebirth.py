"""Sparkplug nodes that are asked for a rebirth: over a real Mosquitto, over the listener, and where nobody may ask."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import aiomqtt
import pytest

from broker.subscription import Login
from edge_agent import asking
from edge_agent.intake.subscriber import SubscriberIntake
from simulators.campus import Campus
from simulators.described import SparkplugNode
from simulators.kinds import Kind
from simulators.scenarios import DeviceModel, load
from simulators.seeding import stream
from simulators.senses import Senses
from telemetry import SystemClock
from tests.broker.device import packet
from tests.edge_agent.harness import MONDAY_9
from tests.edge_agent.running import configure, running
from tests.edge_agent.servers import serving
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from simulators.emissions import Emission
    from tests.edge_agent.running import Running

OTHER: Final = load("other-formats")
SUBSCRIBER: Final = """
[subscriber]
host = "127.0.0.1"
port = {port}
client_id = "bansui-edge-1"
username = "bansui"
password_file = "password"
topics = ["spBv1.0/school/#"]
"""
LISTENER: Final = """
[listener]
host = "127.0.0.1"
port = 0
[[listener.client]]
id = "plc"
password_file = "password"
publish = ["spBv1.0/school/+/plc/#"]
"""
NODE: Final = """
[[device]]
id = "plc"
room = "a-301"
role = "room_sensor"
driver = "sparkplug_b"
mqtt = { topic = "spBv1.0/school/+/plc/#" }
"""
REBIRTH: Final = b"\x08\x01\x12\x1a\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01"
BIRTH_READINGS, DATA_READINGS = 4, 3
VERSIONS: Final = pytest.mark.parametrize(
    "version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5], ids=["3.1.1", "5"]
)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits no longer than it must."""
    monkeypatch.setattr(asking, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(asking, "FIRST_WAIT_S", (0.05, 0.1))


class Node:
    """A simulated node on a connection of its own, which outlives the agent; at QoS 0, as Sparkplug has it."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        campus = Campus(OTHER, seed=3)
        model = DeviceModel(id="plc", room="c-103", kind=Kind.SPARKPLUG_B)
        self._node = SparkplugNode(model, Senses(campus.rooms[model.room], stream(3, "plc")), stream(3, "node"))
        self._at_ms = MONDAY_9
        self.asked: list[aiomqtt.Message] = []

    async def measure(self) -> None:
        """Say what was measured a minute later: the first time that is a birth."""
        emission = self.lose()
        await self._client.publish(emission.topic, emission.payload)

    def lose(self) -> Emission:
        """Measure, and say nothing."""
        self._at_ms += 60_000
        return self._node.emit(self._at_ms)

    async def be_born(self) -> None:
        """Be born without being asked."""
        emission = self._node.obey(REBIRTH, self._at_ms)
        assert emission is not None
        await self._client.publish(emission.topic, emission.payload)

    async def answer(self) -> None:
        """Answer every request, until cancelled."""
        await self._client.subscribe(self._node.command_topic, qos=1)
        async for message in self._client.messages:
            self.asked.append(message)
            assert isinstance(message.payload, bytes)
            emission = self._node.obey(message.payload, self._at_ms)
            assert emission is not None, "a node must not be told anything else"
            await self._client.publish(emission.topic, emission.payload)


@contextlib.asynccontextmanager
async def node(port: int, version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5) -> AsyncIterator[Node]:
    async with aiomqtt.Client(
        "127.0.0.1", port, username="plc", password="secret", identifier="plc", protocol=version
    ) as client:
        made = Node(client)
        answering = asyncio.create_task(made.answer())
        try:
            yield made
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def granted(agent: Running) -> None:
    await until(lambda: agent.agent._subscriber is not None and agent.agent._subscriber.is_subscribed)


async def nothing_awaited(agent: Running) -> None:
    """A reading is admitted before the next look finds that nothing is wanted any more."""
    await until(lambda: not agent.agent._asking.awaited, what="nothing is awaited")


async def admitted(agent: Running, readings: int) -> None:
    await until(lambda: agent.balance["admitted"] >= readings, what=f"{readings} readings")
    assert agent.balance["admitted"] == readings


@pytest.mark.mosquitto
@VERSIONS
async def test_a_node_that_was_there_before_the_agent_is_read_again_after_its_restart(
    tmp_path: Path, mosquitto: Mosquitto, version: aiomqtt.ProtocolVersion
) -> None:
    """Its one message before the birth that was asked for is refused; nothing behind it is."""
    path = configure(tmp_path / "agent", SUBSCRIBER.format(port=mosquitto.port), NODE)
    async with node(mosquitto.port, version) as plc:
        await plc.measure()
        for restart in range(2):
            async with running(path, speed=1.0) as agent:
                await granted(agent)
                await plc.measure()
                before = restart * (BIRTH_READINGS + 5 * DATA_READINGS)
                await admitted(agent, before + BIRTH_READINGS)
                for _ in range(5):
                    await plc.measure()
                await admitted(agent, before + BIRTH_READINGS + 5 * DATA_READINGS)
                await nothing_awaited(agent)
                assert agent.agent._asking.sent == 1
                await agent.stop()
                assert agent.audit().rejected == {"not_learned": restart + 1}
        assert [(str(one.topic), one.qos, one.retain) for one in plc.asked] == [
            ("spBv1.0/school/NCMD/plc", 0, False)
        ] * 2


@VERSIONS
async def test_a_node_on_the_listener_is_asked_behind_a_gap(tmp_path: Path, version: aiomqtt.ProtocolVersion) -> None:
    """What was learned still reads the message behind the gap; the birth ends the doubt."""
    async with running(configure(tmp_path, LISTENER, NODE), speed=1.0) as agent:
        port = agent.agent.listener_port
        assert port is not None
        async with node(port, version) as plc:
            await plc.measure()
            await plc.measure()
            await admitted(agent, BIRTH_READINGS + DATA_READINGS)
            assert plc.asked == []
            plc.lose()
            await plc.measure()
            await admitted(agent, 2 * BIRTH_READINGS + 2 * DATA_READINGS)
            await plc.measure()
            await admitted(agent, 2 * BIRTH_READINGS + 3 * DATA_READINGS)
            await nothing_awaited(agent)
            assert (len(plc.asked), agent.agent._asking.sent) == (1, 1)
        await agent.stop()
        assert agent.audit().rejected == {}


@VERSIONS
async def test_a_birth_that_was_lost_on_the_way_to_the_listener_is_asked_for(
    tmp_path: Path, version: aiomqtt.ProtocolVersion
) -> None:
    async with running(configure(tmp_path, LISTENER, NODE), speed=1.0) as agent:
        port = agent.agent.listener_port
        assert port is not None
        async with node(port, version) as plc:
            plc.lose()
            await plc.measure()
            await admitted(agent, BIRTH_READINGS)
            await plc.measure()
            await admitted(agent, BIRTH_READINGS + DATA_READINGS)


ACL: Final = """
user bansui
topic read spBv1.0/school/#
user plc
topic write spBv1.0/school/+/plc
topic read spBv1.0/school/NCMD/plc
"""


@pytest.mark.mosquitto
async def test_a_broker_that_lets_nobody_ask_breaks_nothing(tmp_path: Path) -> None:
    """Mosquitto drops the request, and 2.0.11 the connection with it: a birth that comes by itself is read."""
    (tmp_path / "acl").write_text(ACL)
    broker = Mosquitto(tmp_path / "mosquitto", f"user root\nallow_anonymous true\nacl_file {tmp_path / 'acl'}\n")
    try:
        path = configure(tmp_path / "agent", SUBSCRIBER.format(port=broker.port), NODE)
        async with running(path, speed=1.0) as agent, node(broker.port) as plc:
            await granted(agent)
            plc.lose()
            await plc.measure()
            await until(lambda: agent.agent._asking.sent == 1)

            while not agent.balance["admitted"]:
                await plc.be_born()
                await asyncio.sleep(0.05)
            await nothing_awaited(agent)
            assert (plc.asked, agent.agent._asking.sent) == ([], 1)
            await granted(agent)
    finally:
        broker.stop()


@pytest.mark.mosquitto
async def test_where_another_host_alone_may_ask_nothing_is_asked(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A birth that the host asks for is learned from."""
    options = NODE + "options = { rebirth = false }\n"
    path = configure(tmp_path / "agent", SUBSCRIBER.format(port=mosquitto.port), options)
    async with running(path, speed=1.0) as agent, node(mosquitto.port) as plc:
        await granted(agent)
        plc.lose()
        await plc.measure()
        await until(lambda: agent.balance["rejected"] == 1)
        agent.agent._asking.look()
        assert (agent.agent._asking.sent, agent.agent._asking.awaited) == (0, 0)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as host:
            await host.publish("spBv1.0/school/NCMD/plc", REBIRTH)
        await admitted(agent, BIRTH_READINGS)
        assert len(plc.asked) == 1


async def test_a_broker_that_hangs_up_when_somebody_is_asked_is_asked_through_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some answer so to what an ACL does not allow (MQTT 5, section 3.3.5): twice is enough, and is said once."""
    monkeypatch.setattr("edge_agent.intake.availability.FIRST_WAIT_S", 0.01)
    requests = 0

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        writer.write(packet(0x20, b"\0\0\0"))
        while first := await reader.readexactly(1):
            await reader.readexactly((await reader.readexactly(1))[0])
            if first[0] >> 4 == 8:
                writer.write(packet(0x90, b"\0\1\0\1"))
            elif first[0] >> 4 == 3:
                requests += 1
                writer.close()
                return

    async with serving(broker) as port:
        login = Login(client_id="edge", topics=("spBv1.0/school/#",))
        intake = SubscriberIntake(
            ("127.0.0.1", port), login, session="s", clock=SystemClock(), deliver=lambda _batch: None
        )

        def ask() -> bool:
            return intake.publish("spBv1.0/school/NCMD/plc", REBIRTH, heard_at="spBv1.0/school/NDATA/plc")

        def is_over(times: int) -> bool:
            return requests == times and not intake.is_subscribed

        assert not ask()
        task = asyncio.create_task(intake.run())
        try:
            for times in (1, 2):
                await until(lambda: intake.is_subscribed)
                assert not intake.publish("spBv1.0/x/NCMD/plc", REBIRTH, heard_at="spBv1.0/x/NDATA/plc")
                assert ask()
                await until(partial(is_over, times))
            await until(lambda: intake.is_subscribed)
            assert not ask()
            assert requests == 2
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    said = [record.message for record in caplog.records if "ends the connection when" in record.message]
    assert len(said) == 1
