"""The remote of a gateway that forwards over MQTT: a Mosquitto, and a subscriber that keeps all that comes."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench._brokers import mosquitto
from bench._gateways.counting import NUMBER, count_numbers, numbers_in
from bench._gateways.site import Site
from bench._processes import HOST, ended, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench._gateways.counting import Count

TOPICS: Final = ("v1/gateway/telemetry", "remote/#")
_RPC: Final = "v1/devices/me/rpc/request/"
_LIMITS: Final = {"maxPayloadSize": 65536, "maxInflightMessages": 100, "rateLimits": {}, "gatewayRateLimits": {}}
"""What ThingsBoard answers to `getSessionLimits` for a tenant without rate limits."""


class MqttRemote:
    """Knows every number that came."""

    def __init__(self, port: int, file: Path) -> None:
        self.port = port
        self._file = file
        self._read = 0
        self._numbers: list[int] = []
        self.is_through = False
        """Whether anything has come, counted or not."""

    def numbers(self) -> list[int]:
        """The numbers that have come so far, in order, second copies too."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            data, line_end, _ = file.read().rpartition(b"\n")
        self._read += len(data) + len(line_end)
        self.is_through = self.is_through or NUMBER.search(data) is not None
        self._numbers += numbers_in(data)
        return self._numbers


class ForwardingSite(Site):
    """A gateway that forwards every message over MQTT, with its folder."""

    def __init__(self, folder: Path, remote: MqttRemote) -> None:
        super().__init__(folder)
        folder.mkdir()
        self._remote = remote

    def is_through(self) -> bool:
        """As the base says."""
        self._remote.numbers()
        return self._remote.is_through

    def arrived(self) -> int:
        """As the base says."""
        return len(set(self._remote.numbers()))

    def count(self, sent: int) -> Count:
        """As the base says."""
        return count_numbers(sent, self._remote.numbers())


@contextlib.contextmanager
def mqtt_remote(folder: Path) -> Iterator[MqttRemote]:
    """A remote that runs."""
    folder.mkdir()
    file = folder / "received"
    with mosquitto(folder) as port, file.open("wb") as out:
        command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-i", "remote", "-c"]
        command += [word for topic in (*TOPICS, "ready") for word in ("-t", topic)]
        with ended(subprocess.Popen(command, stdout=out)), _answering(port):
            ready = ["mosquitto_pub", "-p", str(port), "-q", "1", "-r", "-t", "ready", "-m", "ready"]
            subprocess.run(ready, check=True)
            until(lambda: file.stat().st_size, "the remote has subscribed")
            yield MqttRemote(port, file)


@contextlib.contextmanager
def _answering(port: int) -> Iterator[None]:
    """Answers a gateway's question for its limits, as ThingsBoard does: without an answer it does not begin."""

    def answer(client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        known = json.loads(message.payload).get("method") == "getSessionLimits"
        topic = message.topic.replace("request", "response")
        client.publish(topic, json.dumps(_LIMITS if known else {}), qos=1)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="thingsboard")
    client.on_message = answer
    client.connect(HOST, port)
    client.subscribe(f"{_RPC}+", qos=1)
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        client.loop_stop()
