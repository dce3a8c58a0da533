"""People counts of a whole agent: frames come by MQTT, OpenDP draws, the centre gets a line with its error."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from typing import TYPE_CHECKING, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from telemetry import decode_all
from telemetry.uplink_contract import GENESIS, chain, unseal
from tests.edge_agent.running import LISTENER, SENSOR, configure, running
from tests.edge_agent.servers import read_request, reply, serving
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry import Summary

PEOPLE: Final = 200
SPEED: Final = 1800.0
"""An hour passes in two seconds."""
COUNTER: Final = """
[[device]]
id = "door"
room = "a-301"
role = "people_counter"
driver = "milesight"
model = "VS121"
cadence_s = 300
mqtt = { topic = "zigbee2mqtt/door/#" }
[privacy]
policy = "standard"
"""


class ChainingCentre:
    """Takes every batch, and says where its chain stands; or, while it lies, that it stands elsewhere."""

    def __init__(self) -> None:
        self.is_lying = True
        self.told: list[Summary] = []
        self._head = GENESIS
        self._taken = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            mark = request.headers["idempotency-key"]
            if int(mark.partition("-")[2]) > self._taken:
                self._taken, self._head = self._taken + 1, chain(self._head, request.body)
                if request.path.startswith("/api/v2/write"):
                    self.told += decode_all(unseal(request.body))
            head = bytes(32) if self.is_lying else self._head
            writer.write(reply(204, f"Bansui-Applied: {mark}", f"Bansui-Ledger-Head: {head.hex()}"))
            await writer.drain()


async def test_a_count_goes_from_the_counter_to_the_centre(tmp_path: Path) -> None:
    """Not before the centre stands where the agent does; then each whole hour, within what its error allows."""
    centre, frame = ChainingCentre(), bytes.fromhex("04c9") + bytes([PEOPLE]) + bytes.fromhex("0800a1")
    message = json.dumps({"deviceInfo": {}, "fPort": 85, "data": base64.b64encode(frame).decode()})
    async with serving(centre.answer) as port:
        path = configure(tmp_path, LISTENER, SENSOR, COUNTER, centre=f"http://127.0.0.1:{port}")
        async with running(path, speed=SPEED) as agent:
            client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bridge")
            client.username_pw_set("bridge", "secret")
            client.connect("127.0.0.1", agent.agent.listener_port or 0)
            client.loop_start()
            done = threading.Event()

            async def send() -> None:
                while not done.is_set():
                    client.publish("zigbee2mqtt/door/event/up", message, qos=1)
                    client.publish("zigbee2mqtt/co2", '{"co2": 700}', qos=1)
                    await asyncio.sleep(0.05)

            sending = asyncio.create_task(send())
            await until(lambda: agent.agent.core.people.obstacle == "unconfirmed", timeout=20)
            centre.is_lying = False
            await until(lambda: agent.agent.core.people.obstacle is None, timeout=20)
            await until(lambda: any(each.series.quantity == "people_count" for each in centre.told), timeout=60)
            done.set()
            await sending
            client.disconnect()
            client.loop_stop()
            await agent.stop()
    told = [each for each in centre.told if each.series.quantity == "people_count"]
    for each in told:
        assert (each.series.device, each.series.window_s, each.series.revision) == ("campus", 3600, 0)
        assert abs(each.fields["value"] - PEOPLE) < 8 * each.fields["error95"]
        assert each.fields["error95"] == 14
    assert len({each.start_ms for each in told}) == len(told)
    assert agent.audit().faults == []
