"""Intake from a real Mosquitto: nothing is acknowledged before the commit, and nothing the broker holds is lost."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from bansui.free_port import free_port
from broker.credentials import Client, Credentials
from broker.subscription import Login
from broker.trial import trial_broker
from edge_agent.intake import availability, subscriber
from edge_agent.intake.subscriber import SubscriberIntake
from edge_agent.transactions import Kind, Transaction
from telemetry import SystemClock
from tests.edge_agent.harness import MONDAY_9
from tests.edge_agent.running import SENSOR, SUBSCRIBER, configure, running, watched
from tests.edge_agent.servers import serving
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.events import Batch
    from tests.edge_agent.running import Running

pytestmark = pytest.mark.mosquitto


class Publisher:
    """Publishes at QoS 1 and knows what the broker has taken."""

    def __init__(self, port: int, login: tuple[str, str] | None = None) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def publish(self, *values: int, retain: bool = False, last_seen: int | None = None) -> None:
        for value in values:
            message = {"co2": value} | ({} if last_seen is None else {"last_seen": last_seen})
            info = self._client.publish("zigbee2mqtt/co2", json.dumps(message), qos=1, retain=retain)
            info.wait_for_publish(10)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[Publisher]:
    made = Publisher(mosquitto.port)
    yield made
    made.stop()


def subscribing(folder: Path, port: int) -> Path:
    return configure(folder, SUBSCRIBER.format(port=port), SENSOR)


def is_subscribed(broker: Mosquitto) -> bool:
    return "bansui-edge-1" in broker.log


def is_granted(agent: Running) -> bool:
    return agent.agent._subscriber is not None and agent.agent._subscriber.is_subscribed


async def test_what_was_not_committed_comes_again(tmp_path: Path, mosquitto: Mosquitto, publisher: Publisher) -> None:
    """An agent that is gone before its commit has acknowledged nothing: the broker gives it all to the next."""
    gate = threading.Event()

    def before(transaction: Transaction) -> None:
        if transaction.kind is Kind.JOURNAL:
            gate.wait(20)
            raise RuntimeError("gone")

    path = subscribing(tmp_path / "agent", mosquitto.port)
    async with running(path, watched(before)) as agent:
        await until(lambda: is_subscribed(mosquitto))
        await until(lambda: is_granted(agent))
        await asyncio.to_thread(publisher.publish, *range(600, 620))
        await until(lambda: agent.agent.core.pending > 0)
        gate.set()
        with pytest.raises(RuntimeError, match="gone"):
            await asyncio.wait_for(asyncio.shield(agent.task), 10)
    async with running(path) as agent:
        await until(lambda: agent.balance["admitted"] == 20)
        await agent.stop()
        found = agent.audit()
    assert found.faults == []
    assert (found.balance["received"], found.balance["duplicate"]) == (20, 0)


async def test_what_was_committed_and_not_acknowledged_counts_once(
    tmp_path: Path, mosquitto: Mosquitto, publisher: Publisher
) -> None:
    """An agent that ends between commit and PUBACK gets the messages again, knows them, and counts them once."""
    path = subscribing(tmp_path / "agent", mosquitto.port)
    async with running(path) as agent:
        agent.agent._acknowledge = lambda _effect: None
        await until(lambda: is_granted(agent))
        await asyncio.to_thread(publisher.publish, *range(600, 620))
        await until(lambda: agent.balance["admitted"] == 20)
    async with running(path) as agent:
        await until(lambda: agent.balance["duplicate"] == 20)
        await asyncio.to_thread(publisher.publish, 700)
        await until(lambda: agent.balance["admitted"] == 21)
        await agent.stop()
        assert agent.audit().faults == []
    async with running(path) as agent:
        await until(lambda: is_granted(agent))
        await asyncio.to_thread(publisher.publish, 701)
        await until(lambda: agent.balance["admitted"] == 22)
        assert agent.balance["duplicate"] == 20, "what was acknowledged came again"
        await agent.stop()


async def test_what_the_broker_kept_is_not_fresh(tmp_path: Path, mosquitto: Mosquitto, publisher: Publisher) -> None:
    """A retained message without a time of its own is refused; with one it is what it says."""
    await asyncio.to_thread(publisher.publish, 600, retain=True)
    path = subscribing(tmp_path / "agent", mosquitto.port)
    async with running(path) as agent:
        await until(lambda: agent.balance["rejected"] == 1)
        await asyncio.to_thread(publisher.publish, 601)
        await until(lambda: agent.balance["admitted"] == 1)
        await agent.stop()
        assert agent.audit().rejected == {"retained": 1}
    await asyncio.to_thread(publisher.publish, 602, retain=True, last_seen=MONDAY_9)
    async with running(path) as agent:
        await until(lambda: agent.balance["admitted"] == 2)
        await agent.stop()


async def test_a_broker_that_restarts(
    tmp_path: Path,
    mosquitto: Mosquitto,
    publisher: Publisher,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Said once down and once up; the subscription stands again and messages go on."""
    monkeypatch.setattr(subscriber, "PROVEN_S", 0.1)
    monkeypatch.setattr(subscriber, "TICK_S", 0.05)
    caplog.set_level("INFO", availability.__name__)
    async with running(subscribing(tmp_path / "agent", mosquitto.port)) as agent:
        await until(lambda: is_granted(agent))
        await asyncio.to_thread(publisher.publish, 600)
        await until(lambda: agent.balance["admitted"] == 1)
        await asyncio.to_thread(mosquitto.stop)
        await until(lambda: "unavailable" in caplog.text)
        await asyncio.to_thread(mosquitto.start)
        await until(lambda: "is back" in caplog.text, timeout=20)
        second = Publisher(mosquitto.port)
        try:
            await asyncio.to_thread(second.publish, 601)
            await until(lambda: agent.balance["admitted"] >= 2)
        finally:
            second.stop()
        await agent.stop()
        assert agent.audit().faults == []
    said = [record.levelname for record in caplog.records if record.name == availability.__name__]
    assert said == ["WARNING", "INFO"]


async def test_a_broker_that_grants_and_then_is_silent_is_not_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign of life is due when the subscription has stood for long enough, and never comes."""
    monkeypatch.setattr(subscriber, "PROVEN_S", 0.7)
    monkeypatch.setattr(subscriber, "TICK_S", 0.05)
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 0.01)
    caplog.set_level("INFO", availability.__name__)
    met: list[bytes] = []
    batches: list[Batch] = []

    async def grant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.read(4096))
        writer.write(b"\x20\3\0\0\0")
        if len(met) > 1:
            await reader.read(4096)
            writer.write(b"\x90\4\0\1\0\1")
            while await reader.read(4096):
                pass
        writer.close()

    login = Login(client_id="bansui-edge-1", topics=("zigbee2mqtt/#",), keep_alive_s=1)
    async with serving(grant) as port:
        intake = SubscriberIntake(("127.0.0.1", port), login, session="s", clock=SystemClock(), deliver=batches.append)
        task = asyncio.create_task(intake.run())
        await until(lambda: len(met) > 3, timeout=20)
        task.cancel()
        await asyncio.wait((task,))
    assert [record.levelname for record in caplog.records if record.name == availability.__name__] == ["WARNING"]


async def test_a_broker_keeps_a_subscriber_that_reads_nothing_for_a_while(mosquitto: Mosquitto) -> None:
    """Held back for longer than one and a half times the keep alive, as Mosquitto rounds it."""
    login = Login(client_id="bansui-edge-1", topics=("zigbee2mqtt/#",), keep_alive_s=1)
    batches: list[Batch] = []
    intake = SubscriberIntake(
        ("127.0.0.1", mosquitto.port), login, session="s", clock=SystemClock(), deliver=batches.append
    )
    task = asyncio.create_task(intake.run())
    try:
        await until(lambda: intake.is_subscribed)
        intake.hold()
        await asyncio.sleep(6)
        assert "exceeded timeout" not in mosquitto.log
        assert intake.is_subscribed
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_broker_that_is_not_there_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The agent waits for it, and does not end."""
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.stop()
    try:
        async with running(subscribing(tmp_path / "agent", broker.port)) as agent:
            await until(lambda: "unavailable" in caplog.text)
            await asyncio.to_thread(broker.start)
            await until(lambda: is_granted(agent), timeout=20)
            await agent.stop()
    finally:
        broker.stop()


async def test_a_wrong_password_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The broker's refusal, in its words, and nothing of the password."""
    broker = Mosquitto(tmp_path / "mosquitto", "allow_anonymous false\n")
    table = SUBSCRIBER.format(port=broker.port) + 'username = "bansui"\npassword_file = "password"\n'
    try:
        async with running(configure(tmp_path / "agent", table, SENSOR)) as agent:
            await until(lambda: "the broker refuses the connection" in caplog.text)
            await agent.stop()
    finally:
        broker.stop()
    assert "secret" not in caplog.text


async def test_a_password_that_was_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file is read at each connection: one that is changed on both sides needs no restart of the agent."""
    port = free_port()
    login = 'username = "bansui"\npassword_file = "password"\n'
    path = configure(tmp_path / "agent", SUBSCRIBER.format(port=port) + login, SENSOR)
    broker = trial_broker(Credentials([Client("bansui", b"another", subscribe=("#",))]), "127.0.0.1", port)
    async with broker, running(path) as agent:
        await until(lambda: "device broker is unavailable" in caplog.text, timeout=20)
        (path.parent / "password").unlink()
        (path.parent / "password").write_text("another")
        await until(lambda: is_granted(agent), timeout=20)
        await agent.stop()


async def test_a_broker_without_mqtt_5(tmp_path: Path) -> None:
    """amqtt speaks 3.1.1 alone: the agent finds out by itself, and messages come in."""
    logins = [Client("bansui", b"secret", subscribe=("#",)), Client("device", b"secret", publish=("#",))]
    port = free_port()
    login = 'username = "bansui"\npassword_file = "password"\n'
    path = configure(tmp_path / "agent", SUBSCRIBER.format(port=port) + login, SENSOR)
    async with trial_broker(Credentials(logins), "127.0.0.1", port), running(path) as agent:
        await until(lambda: is_granted(agent), timeout=20)
        device = await asyncio.to_thread(Publisher, port, ("device", "secret"))
        try:
            await asyncio.to_thread(device.publish, 600, 601)
            await until(lambda: agent.balance["admitted"] == 2)
        finally:
            await asyncio.to_thread(device.stop)
        await agent.stop()
        assert agent.audit().faults == []
