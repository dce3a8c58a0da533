"""An agent's state folder is put back from a copy: its centre raises the alarm, and no more people are counted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from telemetry import decode_all
from tests.cloud_sink.support import TOKENS, running_centre
from tests.edge_agent.harness import MONDAY_9
from tests.edge_agent.running import LISTENER, SENSOR, configure, fast_clock, running
from tests.edge_agent.test_people_agent import COUNTER
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.cloud_sink.support import Running as Centre
    from tests.edge_agent.running import Running as Agent

SPEED: Final = 1800.0
"""An hour passes in two seconds."""
COUNT: Final = bytes.fromhex("04c9") + bytes([200]) + bytes.fromhex("0800a1")
MESSAGE: Final = json.dumps({"deviceInfo": {}, "fPort": 85, "data": base64.b64encode(COUNT).decode()})


@contextlib.asynccontextmanager
async def counted(agent: Agent) -> AsyncIterator[None]:
    """A counter and a sensor report all the while."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bridge")
    client.username_pw_set("bridge", "secret")
    client.connect("127.0.0.1", agent.agent.listener_port or 0)
    client.loop_start()

    async def send() -> None:
        while True:
            client.publish("zigbee2mqtt/door/event/up", MESSAGE, qos=1)
            client.publish("zigbee2mqtt/co2", '{"co2": 700}', qos=1)
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        client.disconnect()
        client.loop_stop()


def counts(centre: Centre) -> list[tuple[int, int]]:
    """Start and value of every count of people that the centre has."""
    stored = decode_all(centre.export().encode())
    return [(each.start_ms, each.fields["value"]) for each in stored if each.series.quantity == "people_count"]


def alarms(centre: Centre) -> list[str]:
    return [alarm["kind"] for alarm in centre.client.get("/api/v1/alarms").json()]


async def test_a_copy_that_was_put_back_tells_no_people_and_is_an_alarm_at_the_centre(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    clock, folder = fast_clock(SPEED), tmp_path / "agent"
    (tmp_path / "centre").mkdir()
    with running_centre(tmp_path / "centre", clock) as centre:
        path = configure(folder, LISTENER, SENSOR, COUNTER, centre=centre.url)
        path.write_text(path.read_text().replace('"18:00"', '"23:45"'))  # hours in which the copy could tell
        (folder / "token").write_text(TOKENS["edge-1"])
        async with running(path, clock=clock) as agent, counted(agent):
            await until(lambda: agent.agent.core.people.obstacle is None, timeout=20)
            await agent.stop()
        shutil.copytree(folder / "state", tmp_path / "copy")
        async with running(path, clock=clock) as agent, counted(agent):
            await until(lambda: len(counts(centre)) >= 1, timeout=60)
            await agent.stop()
        told = counts(centre)
        assert alarms(centre) == [], "a restart is none"

        shutil.rmtree(folder / "state")
        shutil.copytree(tmp_path / "copy", folder / "state")
        async with running(path, clock=clock) as agent, counted(agent):
            await until(lambda: "agent_copied" in alarms(centre), timeout=60)
            await until(lambda: agent.agent.core.people.obstacle == "closed", timeout=20)
            noticed_ms = clock.now()
            await until(lambda: clock.now() > noticed_ms + 4 * 3_600_000, timeout=60)
            assert clock.now() < MONDAY_9 + 14 * 3_600_000
            assert agent.agent.core.people.obstacle == "closed"
            await agent.stop()
        assert counts(centre) == told, "the copy told a count"
        pages = [centre.client.get(path, params={"lang": "en"}).text for path in ("/", "/school/cn-002")]
        assert all('Agent <span class="code">edge-1</span> was put back from a copy' in page for page in pages)
        assert "由备份恢复" in centre.client.get("/", params={"lang": "zh-CN"}).text
        assert agent.audit().faults == []
    with running_centre(tmp_path / "centre", clock) as centre:
        assert "agent_copied" in alarms(centre), "a restart of the centre forgets it"
    tell(f"{len(told)} counts before, none of the copy in four hours after it was noticed")
