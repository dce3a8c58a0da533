"""ESPHome nodes: bare values, each on a topic of its own, and discovery messages that say what they are.

Format: esphome.io, "MQTT Client Component" (`topic_prefix`, `discovery_prefix`, birth message on `<prefix>/status`),
and home-assistant.io/docs, "MQTT Discovery", with the abbreviations that ESPHome uses. A node announces itself when it
connects and whenever it is asked to; here at the start of the day and every quarter of an hour.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.emissions import Emission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from simulators.emissions import Emitter
    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

ANNOUNCE_MS: Final = 900_000


@dataclass(frozen=True, slots=True)
class Sensor:
    """One value that a node measures."""

    name: str
    device_class: str
    unit: str
    decimals: int
    measure: Callable[[Senses], float]


SENSORS: Final = (
    Sensor("co2", "carbon_dioxide", "ppm", 0, lambda room: room.air.co2_ppm),
    Sensor("temperature", "temperature", "°C", 2, lambda room: room.air.temperature_c),
    Sensor("humidity", "humidity", "%", 1, lambda room: room.air.humidity),
    Sensor("illuminance", "illuminance", "lx", 0, lambda room: room.illuminance_lx),
)


def node(model: DeviceModel, room: Senses, rng: Random) -> Iterator[Emitter]:
    """Everything that one node publishes: announcements first."""
    yield from (_Announcement(model, sensor, number) for number, sensor in enumerate(SENSORS, start=1))
    yield _Birth(model)
    yield from (_State(model, sensor, room, rng) for sensor in SENSORS)


class _Announcement:
    """The discovery message of one sensor."""

    def __init__(self, model: DeviceModel, sensor: Sensor, number: int) -> None:
        self.id, self.cadence_ms, self.phase_ms = model.id, ANNOUNCE_MS, number
        self._topic = f"{model.id}/sensor/{model.id}/{sensor.name}/config"
        self._payload = json.dumps(
            {
                "name": sensor.name,
                "dev_cla": sensor.device_class,
                "unit_of_meas": sensor.unit,
                "stat_cla": "measurement",
                "stat_t": f"{model.id}/sensor/{sensor.name}/state",
                "avty_t": f"{model.id}/status",
                "uniq_id": f"ESPsensor{sensor.name}",
                "dev": {"ids": "020000000003", "name": model.id, "sw": "esphome", "mf": "Espressif"},
            },
            ensure_ascii=False,
        ).encode()

    def emit(self, at_ms: int) -> Emission:
        """The message: the same every time."""
        return Emission(self.id, at_ms, self._topic, self._payload, ())


class _Birth:
    """The word that the node is there."""

    def __init__(self, model: DeviceModel) -> None:
        self.id, self.cadence_ms, self.phase_ms = model.id, ANNOUNCE_MS, len(SENSORS) + 1

    def emit(self, at_ms: int) -> Emission:
        """The word."""
        return Emission(self.id, at_ms, f"{self.id}/status", b"online", (("connectivity", 1.0),))


class _State:
    """The value of one sensor."""

    def __init__(self, model: DeviceModel, sensor: Sensor, room: Senses, rng: Random) -> None:
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._topic = f"{model.id}/sensor/{sensor.name}/state"
        self._sensor, self._room, self._rng = sensor, room, rng

    def emit(self, at_ms: int) -> Emission:
        """The value of that moment, as bare text."""
        value = self._sensor.measure(self._room) * (1 + self._rng.gauss(0.0, 0.002))
        text = f"{value:.{self._sensor.decimals}f}"
        return Emission(self.id, at_ms, self._topic, text.encode(), ((self._sensor.device_class, float(text)),))
