"""Plugs and air sensors that run Tasmota: `tele/<device>/SENSOR` and, from a plug, `tele/<device>/STATE`.

Format: tasmota.github.io/docs, "MQTT" (topics), "JSON Status Responses", "Commands" (`Time 1` adds `Epoch`, the seconds
since 1970, to the local time).
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from simulators.emissions import Emission
from simulators.json_text import compact

if TYPE_CHECKING:
    from random import Random
    from zoneinfo import ZoneInfo

    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

_LOAD_W: Final = (262.0, 9.0)
_SECOND_MS: Final = 1000


class TasmotaDevice(ABC):
    """One message of one device, sent once a cadence at a whole second."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Random, zone: ZoneInfo, *, leaf: str = "SENSOR") -> None:
        self.id = model.id
        self.topic = f"tele/{model.id}/{leaf}"
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms) // _SECOND_MS * _SECOND_MS
        self._room, self._rng, self._zone = room, rng, zone

    def emit(self, at_ms: int) -> Emission:
        """The message of that moment."""
        sections, readings = self._measure(at_ms)
        local = dt.datetime.fromtimestamp(at_ms / 1000, self._zone).replace(tzinfo=None)
        message = {"Time": local.isoformat(timespec="seconds"), "Epoch": at_ms // 1000, **sections}
        payload = compact(message)
        return Emission(self.id, at_ms, self.topic, payload, tuple(readings.items()))

    @abstractmethod
    def _measure(self, at_ms: int) -> tuple[dict[str, Any], dict[str, float]]:
        """The message's sections, and the readings that are in them."""


class TasmotaAir(TasmotaDevice):
    """CO2 by a SenseAir S8, climate by an SHT3x."""

    def _measure(self, at_ms: int) -> tuple[dict[str, Any], dict[str, float]]:  # noqa: ARG002 - a plug needs the time
        air = self._room.air
        co2 = round(air.co2_ppm + self._rng.gauss(0.0, 8.0))
        temperature = round(air.temperature_c + self._rng.gauss(0.0, 0.05), 1)
        humidity = round(air.humidity + self._rng.gauss(0.0, 0.3), 1)
        dew_point = round(temperature - (100 - humidity) / 5, 1)
        climate = {"Temperature": temperature, "Humidity": humidity, "DewPoint": dew_point}
        sections = {"S8": {"CarbonDioxide": co2}, "SHT3X": climate, "TempUnit": "C"}
        readings = {"carbon_dioxide": co2, "temperature": temperature, "humidity": humidity, "dew_point": dew_point}
        return sections, readings


class TasmotaPlug(TasmotaDevice):
    """What the plug's meter says of the board behind it."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Random, zone: ZoneInfo) -> None:
        super().__init__(model, room, rng, zone)
        self._total_kwh = rng.uniform(20.0, 300.0)
        self._today_kwh = 0.0

    def _measure(self, at_ms: int) -> tuple[dict[str, Any], dict[str, float]]:
        watts = _LOAD_W[0 if self._room.timetable.in_session(at_ms) else 1] * (1 + self._rng.gauss(0.0, 0.01))
        used_kwh = watts * self.cadence_ms / 3.6e9
        self._total_kwh += used_kwh
        self._today_kwh += used_kwh
        voltage = round(229 + self._rng.gauss(0.0, 0.8))
        power, apparent = round(watts), round(watts / 0.95)
        reactive = round((apparent**2 - power**2) ** 0.5)
        energy = {
            "TotalStartTime": "2026-09-01T00:00:00", "Total": round(self._total_kwh, 3), "Yesterday": 1.204,
            "Today": round(self._today_kwh, 3), "Period": round(used_kwh * 1000), "Power": power,
            "ApparentPower": apparent, "ReactivePower": reactive, "Factor": 0.95, "Voltage": voltage,
            "Current": round(apparent / voltage, 3),
        }  # fmt: skip
        names = {
            "energy": "Total", "power": "Power", "apparent_power": "ApparentPower", "reactive_power": "ReactivePower",
            "power_factor": "Factor", "voltage": "Voltage", "current": "Current",
        }  # fmt: skip
        return {"ENERGY": energy}, {name: float(str(energy[key])) for name, key in names.items()}


class TasmotaState(TasmotaDevice):
    """What the plug says of itself; its network's names are in it, as on every such plug."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Random, zone: ZoneInfo) -> None:
        super().__init__(model, room, rng, zone, leaf="STATE")
        self._booted_ms = -rng.randrange(10**9)

    def _measure(self, at_ms: int) -> tuple[dict[str, Any], dict[str, float]]:
        signal = round(-62 + self._rng.gauss(0.0, 2.0))
        quality = min(100, max(0, 2 * (signal + 100)))
        wifi = {"AP": 1, "SSId": "school-iot", "BSSId": "02:00:00:00:00:01", "Channel": 6, "Mode": "11n"}
        state = {"UptimeSec": (at_ms - self._booted_ms) // 1000, "Heap": 25, "POWER": "ON"}
        wifi |= {"RSSI": quality, "Signal": signal}
        return {**state, "Wifi": wifi}, {"switch": 1.0, "link_quality": quality, "signal_strength": signal}
