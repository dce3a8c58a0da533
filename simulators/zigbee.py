"""Zigbee devices as zigbee2mqtt tells of them: one JSON object on `zigbee2mqtt/<device>` per report.

Format: zigbee2mqtt documentation, "MQTT topics and messages" (`zigbee2mqtt/FRIENDLY_NAME`), "Exposes" for the
properties and their units, and the setting `advanced.last_seen: epoch`, by which every message says when the
device spoke, in milliseconds since 1970.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from simulators.emissions import Emission
from simulators.json_text import compact
from simulators.kinds import Kind, Load

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses
    from simulators.timetable import Span

CLIENT_ID: Final = "zigbee"
BASE_TOPIC: Final = "zigbee2mqtt"
Property: TypeAlias = int | float | bool | str

MODELS: Final = {
    Kind.AIR: "TS0601_air_quality_sensor",
    Kind.CLIMATE: "SNZB-02D",
    Kind.MOTION: "SNZB-03P",
    Kind.DOOR: "SNZB-04P",
    Kind.PLUG: "TS011F_plug_1",
    Kind.METER: "TS0601_din",
    Kind.SMOKE: "TS0601_smoke_1",
    Kind.LEAK: "SNZB-05P",
}
"""What zigbee2mqtt's list of supported devices calls a device that exposes such properties."""

QUANTITIES: Final = {
    "battery": "battery",
    "co2": "carbon_dioxide",
    "contact": "opening",
    "current": "current",
    "energy": "energy",
    "humidity": "humidity",
    "illuminance": "illuminance",
    "linkquality": "link_quality",
    "occupancy": "occupancy",
    "power": "power",
    "smoke": "smoke",
    "state": "switch",
    "temperature": "temperature",
    "voltage": "voltage",
    "water_leak": "water_leak",
}
"""The vocabulary's name of every property that is a measurement."""

_VALUES: Final[dict[str, Callable[[Property], float]]] = {
    "state": lambda state: float(state == "ON"),
    "contact": lambda is_shut: float(not is_shut),
}
"""How a property is measured that is no number."""

_LOAD_W: Final = {Load.BOARD: (262.0, 9.0), Load.COMPUTER: (74.0, 2.5), Load.RACK: (310.0, 310.0)}
"""Watts in use and out of use."""
_CART_IDLE_W, _CART_W, _CART_FILLS_MS = 6.0, 420.0, 2_400_000
"""A cart draws most when the headsets come back, and less as they fill."""


class ZigbeeDevice:
    """One device behind the zigbee2mqtt bridge."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Random, alarms: tuple[Span, ...] = ()) -> None:
        self.id = model.id
        self.topic = f"{BASE_TOPIC}/{model.id}"
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._model, self._room, self._rng, self._alarms = model, room, rng, alarms
        self._link = rng.randrange(90, 200)
        self._battery = rng.randrange(62, 101)
        self._offset = rng.gauss(0.0, 1.0)
        self._energy_kwh = rng.uniform(40.0, 900.0)

    def emit(self, at_ms: int) -> Emission:
        """The report of that moment."""
        properties = self._properties(at_ms)
        measured = [name for name in properties if name in QUANTITIES]
        readings = tuple([(QUANTITIES[name], _VALUES.get(name, float)(properties[name])) for name in measured])
        payload = compact({**properties, "last_seen": at_ms})
        return Emission(self.id, at_ms, self.topic, payload, readings)

    def _properties(self, at_ms: int) -> dict[str, Property]:
        self._link = min(255, max(20, self._link + self._rng.randrange(-6, 7)))
        kind = self._model.kind
        if kind is Kind.AIR:
            return {"co2": self._co2(), **self._climate(), "linkquality": self._link}
        if kind in (Kind.PLUG, Kind.METER):
            return {**self._electricity(at_ms), "linkquality": self._link}
        measured: dict[str, Property]
        if kind is Kind.CLIMATE:
            measured = self._climate()
        elif kind is Kind.MOTION:
            measured = {"occupancy": self._seen(), "illuminance": self._light()}
        elif kind is Kind.DOOR:
            # the door stands open while pupils come and go; contact is true when it is shut
            measured = {"contact": not (self._room.people and not self._room.timetable.in_lesson(at_ms))}
        else:
            name = "smoke" if kind is Kind.SMOKE else "water_leak"
            measured = {name: any(alarm.holds(at_ms) for alarm in self._alarms)}
        return {"battery": round(self._room.battery(self._battery)), **measured, "linkquality": self._link}

    def _co2(self) -> int:
        return round(self._room.air.co2_ppm + 12 * self._offset + self._rng.gauss(0.0, 6.0))

    def _climate(self) -> dict[str, Property]:
        air = self._room.air
        humidity = air.humidity + 0.8 * self._offset + self._rng.gauss(0.0, 0.2)
        return {
            "humidity": round(min(100.0, max(0.0, humidity)), 1),
            "temperature": round(air.temperature_c + 0.15 * self._offset + self._rng.gauss(0.0, 0.04), 2),
        }

    def _seen(self) -> bool:
        return self._room.people > 0 and self._rng.random() < 0.97

    def _light(self) -> int:
        return round(max(0.0, self._room.illuminance_lx * (1 + self._rng.gauss(0.0, 0.02))))

    def _electricity(self, at_ms: int) -> dict[str, Property]:
        if self._model.kind is Kind.METER:
            is_on, watts = True, self._room.power_w
        else:
            is_on = self._model.load is Load.RACK or self._room.timetable.in_session(at_ms)
            watts = self._load_w(at_ms, is_on=is_on)
        power = max(0.0, watts * (1 + self._rng.gauss(0.0, 0.015)))
        voltage = round(229.0 + 2.0 * self._offset + self._rng.gauss(0.0, 0.7), 1)
        self._energy_kwh += power * self.cadence_ms / 3.6e9
        return {
            "current": round(power / voltage / 0.95, 2),
            "energy": round(self._energy_kwh, 2),
            "power": round(power, 1),
            "power_on_behavior": "previous",
            "state": "ON",
            "voltage": voltage,
        }

    def _load_w(self, at_ms: int, *, is_on: bool) -> float:
        if self._model.load is Load.CART:
            since_ms = self._room.timetable.since_lesson_ms(at_ms)
            return _CART_IDLE_W + (0.0 if since_ms is None else _CART_W * math.exp(-since_ms / _CART_FILLS_MS))
        return _LOAD_W[self._model.load][0 if is_on else 1]
