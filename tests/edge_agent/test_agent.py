"""The whole agent: a word given is a word on disk, and an agent that cannot work ends and says why."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Final

import apsw
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.agent import StoreFailed
from edge_agent.core import Core
from edge_agent.events import Arrived, Effect, Event
from edge_agent.store.engine import StoreBusy
from edge_agent.transactions import Kind, Transaction
from telemetry import EnvironmentFault
from tests.edge_agent.running import LISTENER, SENSOR, configure, running, watched
from tests.edge_agent.servers import DURABLE, Centre, reply, serving
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge_agent.agent import Agent

MESSAGE: Final = json.dumps({"co2": 700, "temperature": 21.5})


class Bridge:
    """A device's MQTT client, on a thread of its own."""

    def __init__(self, agent: Agent) -> None:
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="bridge", clean_session=False, reconnect_on_failure=False
        )
        self._client.username_pw_set("bridge", "secret")
        self._client.connect("127.0.0.1", agent.listener_port or 0)
        self._client.loop_start()

    def publish(self, message: str = MESSAGE, topic: str = "zigbee2mqtt/co2") -> mqtt.MQTTMessageInfo:
        return self._client.publish(topic, message, qos=1)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def connect() -> Iterator[Callable[[Agent], Bridge]]:
    """Makes bridges; they hang up when the test is over."""
    bridges: list[Bridge] = []

    def make(agent: Agent) -> Bridge:
        bridges.append(Bridge(agent))
        return bridges[-1]

    yield make
    for bridge in bridges:
        bridge.stop()


async def test_from_the_device_to_the_centre(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """Messages in over MQTT, windows closed, batches delivered, and the balance closes."""
    centre = Centre(reply(503), DURABLE)
    async with serving(centre.answer) as port:
        path = configure(tmp_path, LISTENER, SENSOR, centre=f"http://127.0.0.1:{port}")
        async with running(path) as agent:
            bridge = connect(agent.agent)
            for _ in range(50):
                bridge.publish()
            await until(lambda: agent.balance["acknowledged"] == 2, timeout=30)
            await agent.stop()
    found = agent.audit()
    assert found.faults == []
    assert (found.balance["received"], found.balance["admitted"], found.balance["waiting"]) == (100, 100, 0)


async def test_a_changed_token_needs_no_restart(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """The centre knows the old one no more: what the file holds by then delivers the batch."""
    centre = Centre(reply(401), DURABLE)
    async with serving(centre.answer) as port:
        path = configure(tmp_path, LISTENER, SENSOR, centre=f"http://127.0.0.1:{port}")
        async with running(path) as agent:
            (tmp_path / "token").write_text("another")
            connect(agent.agent).publish()
            await until(lambda: agent.balance["acknowledged"] == 2, timeout=30)
    assert [each.headers["authorization"] for each in centre.requests[:2]] == ["Token a-token", "Token another"]


async def test_puback_waits_for_the_disk(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """While the commit hangs there is no acknowledgement, however long; with the commit there is, and it is timed."""
    gate, reached = threading.Event(), threading.Event()

    def before(transaction: Transaction) -> None:
        if transaction.kind is Kind.JOURNAL:
            reached.set()
            gate.wait(20)

    try:
        async with running(configure(tmp_path, LISTENER, SENSOR), watched(before)) as agent:
            info = connect(agent.agent).publish()
            await until(reached.is_set)
            await asyncio.sleep(0.2)
            assert not info.is_published()
            assert agent.balance["received"] == 0
            gate.set()
            await until(info.is_published)
            assert agent.audit().balance["admitted"] == 2
            counts, seconds = agent.agent._commit_times.of(Kind.JOURNAL)
            assert (sum(counts), seconds >= 0.2) == (1, True)
    finally:
        gate.set()


@pytest.mark.parametrize("error", [apsw.IOError, apsw.ReadOnlyError])
async def test_a_disk_that_fails_ends_the_agent(
    tmp_path: Path, connect: Callable[[Agent], Bridge], error: type[apsw.Error]
) -> None:
    """An error of the disk: said in words, nothing acknowledged, never tried again."""
    tries = []

    def before(transaction: Transaction) -> None:
        if transaction.kind is Kind.JOURNAL:
            tries.append(transaction)
            raise error

    async with running(configure(tmp_path, LISTENER, SENSOR), watched(before)) as agent:
        info = connect(agent.agent).publish()
        with pytest.raises(StoreFailed, match=error.__name__) as caught:
            await asyncio.wait_for(asyncio.shield(agent.task), 10)
        assert caught.value.code == "store_failed"
        assert not info.is_published()
    assert len(tries) == 1
    assert agent.audit().balance["received"] == 0


async def test_a_full_disk_makes_devices_wait(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """Nothing is acknowledged and nothing ends; with room again, everything is taken in and acknowledged."""
    full = threading.Event()
    full.set()

    def before(transaction: Transaction) -> None:
        if transaction.kind is Kind.JOURNAL and full.is_set():
            raise apsw.FullError

    async with running(configure(tmp_path, LISTENER, SENSOR), watched(before)) as agent:
        info = connect(agent.agent).publish()
        await until(lambda: agent.agent.core.pressure.is_holding)
        assert not info.is_published()
        full.clear()
        await until(info.is_published)
    assert agent.audit().balance["received"] == 2


async def test_a_disk_that_fails_during_a_stop_is_said(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """A stop whose last commits fail is no good stop, and does not wait out its time."""

    def before(transaction: Transaction) -> None:
        if transaction.kind is Kind.CHECKPOINT:
            raise apsw.IOError

    async with running(configure(tmp_path, LISTENER, SENSOR), watched(before)) as agent:
        with pytest.raises(StoreFailed):
            await asyncio.wait_for(agent.stop(), 4)


async def test_a_mistake_in_the_stores_thread_ends_the_agent(tmp_path: Path) -> None:
    """A thread that is gone commits nothing: the agent is not left there, well and idle."""

    def before(transaction: Transaction) -> None:
        raise ValueError("a mistake")

    async with running(configure(tmp_path, LISTENER, SENSOR), watched(before)) as agent:
        agent.agent.core.flush()
        with pytest.raises(ValueError, match="a mistake"):
            await asyncio.wait_for(asyncio.shield(agent.task), 10)


async def test_a_mistake_in_the_core_ends_the_agent(
    tmp_path: Path, connect: Callable[[Agent], Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Met in a callback of the loop, where nobody awaits it: it ends the agent all the same."""
    handle = Core.handle

    def fails(core: Core, event: Event) -> list[Effect]:
        if isinstance(event, Arrived):
            raise KeyError("a mistake")
        return handle(core, event)

    monkeypatch.setattr(Core, "handle", fails)
    async with running(configure(tmp_path, LISTENER, SENSOR)) as agent:
        info = connect(agent.agent).publish()
        with pytest.raises(KeyError, match="a mistake"):
            await asyncio.wait_for(asyncio.shield(agent.task), 10)
        assert not info.is_published()


async def test_too_many_open_files_are_no_mistake(tmp_path: Path) -> None:
    """What the machine says through the loop passes; the agent stays."""
    async with running(configure(tmp_path, LISTENER, SENSOR)) as agent:
        error = OSError(24, "Too many open files")
        asyncio.get_running_loop().call_exception_handler({"message": "socket.accept()", "exception": error})
        await asyncio.sleep(0.05)
        assert not agent.task.done()
        await agent.stop()


async def test_a_planned_stop_acknowledges_what_it_has(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """What came in before the stop is committed and acknowledged before the devices are sent away."""
    path = configure(tmp_path, LISTENER, SENSOR)
    path.write_text(path.read_text().replace("group_commit_ms = 10", "group_commit_ms = 5000"))
    async with running(path) as agent:
        infos = [connect(agent.agent).publish()]
        await until(lambda: agent.agent.core.pending == 1)
        await asyncio.wait_for(agent.stop(), 4)
        await until(lambda: all(info.is_published() for info in infos))
    assert agent.audit().balance["admitted"] == 2
    assert agent.audit().faults == []


async def test_a_taken_port_is_said_and_lets_the_folder_go(tmp_path: Path) -> None:
    """The listener's port has another owner: the mistake in words, and the store can be opened again at once."""
    async with serving(lambda _reader, _writer: asyncio.sleep(0)) as port:
        path = configure(tmp_path, LISTENER.replace("port = 0", f"port = {port}"), SENSOR)
        for _ in range(2):
            with pytest.raises(EnvironmentFault, match=str(port)):
                async with running(path):
                    pass


async def test_two_agents_on_one_folder(tmp_path: Path) -> None:
    """The second is told; the first goes on."""
    path = configure(tmp_path, LISTENER, SENSOR)
    async with running(path) as agent:
        with pytest.raises(StoreBusy):
            async with running(path):
                pass
        assert not agent.task.done()


async def test_unknown_topics_and_garbage_are_acknowledged(tmp_path: Path, connect: Callable[[Agent], Bridge]) -> None:
    """A poison message is acknowledged once it is counted on disk; else it would come for ever."""
    async with running(configure(tmp_path, LISTENER, SENSOR)) as agent:
        bridge = connect(agent.agent)
        messages = ["{", "\x00", '{"co2": 1e308}', '{"co2": "NaN"}', '{"name": "Li Hua"}']
        infos = [bridge.publish(message) for message in messages]
        infos.append(bridge.publish(topic="zigbee2mqtt/unknown"))
        await until(lambda: all(info.is_published() for info in infos))
        found = agent.audit()
        assert found.faults == []
        assert found.balance["admitted"] == 0
        assert found.balance["rejected"] == len(infos)
        assert found.rejected["unknown_device"] == 1
