"""Devices that publish over MQTT in makers' own words: one message of one topic each, once a cadence.

Formats: AirGradient, arduino firmware, docs/local-server.md; Shelly, "Gen2 Device API", component Switch;
OpenMQTTGateway, "BLE gateway", keys of a decoded sensor (Theengs Decoder, ARANET4); RFC 8428 (SenML), sections 4 and 5;
ManageXR, "API reference", "Get a device"; AOSP, `BatteryService.dump`; SteamVRMQTT, topics of its binary sensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from simulators.emissions import Emission
from simulators.gauge import Gauge
from simulators.json_text import compact

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

    Compose: TypeAlias = Callable[[Gauge, int], bytes]

ARANET: Final = "ARANET4"


class Message:
    """One message of one device."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise, topic: str, compose: Compose) -> None:
        """`compose` writes the payload of a moment, and tells the gauge what is in it."""
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._topic, self._compose = topic, compose
        self._gauge = Gauge(room, rng)

    def emit(self, at_ms: int) -> Emission:
        """The message of that moment."""
        payload = self._compose(self._gauge, at_ms)
        return Emission(self.id, at_ms, self._topic, payload, self._gauge.told())


def airgradient(gauge: Gauge, _at_ms: int) -> bytes:
    """AirGradient ONE: air, dust, and the strength of its wireless network."""
    rssi = round(-58 + gauge.rng.gauss(0.0, 2.0))
    gauge.say("signal_strength", rssi)
    return _json(
        {
            "wifi": rssi,
            "rco2": gauge.take("carbon_dioxide"),
            "pm01": gauge.take("pm1"),
            "pm02": gauge.take("pm25"),
            "pm10": gauge.take("pm10"),
            "atmp": gauge.number("temperature", 2),
            "rhum": gauge.take("humidity"),
            "boot": 9,
        }
    )


def shelly_switch(gauge: Gauge, _at_ms: int) -> bytes:
    """A plug: `status/switch:0`, energy in watt hours."""
    gauge.state("switch", "on")
    watt_hours = round(1000 * gauge.energy_kwh(), 3)
    gauge.say("energy", watt_hours / 1000)
    warmth = gauge.number("device_temperature", 1)
    return _json(
        {
            "id": 0,
            "source": "init",
            "output": True,
            "apower": gauge.number("power", 1),
            "voltage": gauge.number("voltage", 1),
            "current": gauge.number("current", 3),
            "aenergy": {"total": watt_hours, "by_minute": [0.0, 0.0, 0.0], "minute_ts": gauge.now_ms // 1000},
            "temperature": {"tC": warmth, "tF": round(warmth * 1.8 + 32, 1)},
        }
    )


def aranet(gauge: Gauge, _at_ms: int) -> bytes:
    """An Aranet4 that a gateway hears, decoded by the gateway."""
    rssi = round(-71 + gauge.rng.gauss(0.0, 3.0))
    gauge.say("signal_strength", rssi)
    celsius = gauge.number("temperature", 1)
    return _json(
        {
            "id": "02:00:00:00:00:A1",
            "rssi": rssi,
            "brand": "Aranet",
            "model_id": ARANET,
            "type": "AIR",
            "tempc": celsius,
            "tempf": round(celsius * 1.8 + 32, 1),
            "hum": gauge.take("humidity"),
            "pres": gauge.number("atmospheric_pressure", 1),
            "co2": gauge.take("carbon_dioxide"),
            "batt": gauge.take("battery"),
        }
    )


def senml(gauge: Gauge, at_ms: int) -> bytes:
    """A pack: the base name and time once, then records of name, unit and value."""
    base = {"bn": "urn:dev:mac:0200000000000001:", "bt": at_ms / 1000}
    return _json(
        [
            {**base, "n": "temperature", "u": "Cel", "v": gauge.number("temperature", 2)},
            {"n": "humidity", "u": "%RH", "v": gauge.number("humidity", 1)},
            {"n": "co2", "u": "ppm", "v": gauge.take("carbon_dioxide")},
            {"n": "light", "u": "lx", "v": gauge.take("illuminance")},
            {"n": "noise", "u": "dB", "v": gauge.number("sound_pressure", 1)},
        ]
    )


def managexr(gauge: Gauge, _at_ms: int) -> bytes:
    """A headset as its fleet manager exports it."""
    worn = gauge.room.timetable.in_lesson(gauge.now_ms)
    gauge.say("battery_charging", float(not worn))
    gauge.say("connectivity", 1.0)
    return _json({"batteryLevel": gauge.take("battery"), "batteryIsCharging": not worn, "online": True})


def dumped_battery(gauge: Gauge, _at_ms: int) -> bytes:
    """What `dumpsys battery` prints: millivolts, tenths of a degree, status 2 charging and 3 discharging."""
    worn = gauge.room.timetable.in_lesson(gauge.now_ms)
    gauge.say("battery_charging", float(not worn))
    millivolts = round(3500 + 8 * gauge.charge())
    gauge.say("battery_voltage", millivolts / 1000)
    tenths = gauge.take("device_temperature", 0.1)
    lines = (
        "Current Battery Service state:",
        "  AC powered: false",
        f"  USB powered: {str(not worn).lower()}",
        "  Wireless powered: false",
        "  Max charging current: 500000",
        "  Max charging voltage: 5000000",
        "  Charge counter: 2268000",
        f"  status: {3 if worn else 2}",
        "  health: 2",
        "  present: true",
        f"  level: {gauge.take('battery')}",
        "  scale: 100",
        f"  voltage: {millivolts}",
        f"  temperature: {tenths}",
        "  technology: Li-ion",
    )
    return ("\n".join(lines) + "\n").encode()


def steamvr_activity(gauge: Gauge, _at_ms: int) -> bytes:
    """Whether the headset is worn, as a bare word."""
    return b"ON" if gauge.take("headset_worn") else b"OFF"


def _json(content: object) -> bytes:
    return compact(content)


COMPOSED: Final = {
    "airgradient": ("airgradient/readings/{id}", airgradient),
    "shelly": ("{id}/status/switch:0", shelly_switch),
    "openmqttgateway": ("home/gateway/BTtoMQTT/{id}", aranet),
    "senml": ("senml/{id}", senml),
    "managexr": ("bansui/managexr/{id}", managexr),
    "android_headset": ("bansui/adb/{id}", dumped_battery),
    "steamvr": ("homeassistant/binary_sensor/{id}-ovr_activity/state", steamvr_activity),
}
"""By the kind of device: its topic, and how its messages are written."""
