"""The kinds of devices beyond the first ones: who reads them, how they are reached, and how one is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from simulators import described, esphome, lorawan, mhz19, modbus, serial_sensors
from simulators.displays import PROTOCOLS, Display
from simulators.kinds import Kind
from simulators.lorawan import LorawanSensor
from simulators.lorawan_payloads import REPORTS
from simulators.mhz19 import Co2Sensor
from simulators.modbus import AerasgardSlave, AirSlave, ChintSlave, MeterSlave, PzemSlave
from simulators.published import ARANET, COMPOSED, Message
from simulators.serial_sensors import HpmSensor, Mcu680, Sds011, Sps30
from simulators.tasmota import TasmotaAir, TasmotaPlug, TasmotaState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from zoneinfo import ZoneInfo

    from simulators.asked_line import Asked
    from simulators.emissions import Emitter
    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

    Speaking: TypeAlias = Callable[[DeviceModel, Senses, Noise, ZoneInfo], Iterable[Emitter]]
    Answering: TypeAlias = Callable[[DeviceModel, Senses, Noise], Asked]

_TCP: Final = (Kind.NEC_DISPLAY, Kind.SAMSUNG_MDC, Kind.PHILIPS_SICP, Kind.MAXHUB_BOARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One kind: `speak` makes what it says unasked, `ask` a device that is asked."""

    driver: str
    model: str = ""
    client: str = ""
    """The MQTT client that publishes for it; empty for the device itself."""
    topic: str = "{id}/#"
    """Where it publishes, as its binding states it."""
    publishes: str = "{id}/#"
    """What its client may publish."""
    speak: Speaking | None = None
    ask: Answering | None = None
    stamps: bool = True
    """Whether its frames say when they were measured."""
    transport: str = "mqtt"


def _asked(driver: str, ask: Answering, *, model: str = "", transport: str = "serial") -> Entry:
    return Entry(driver=driver, model=model, ask=ask, stamps=False, transport=transport)


def _heard(driver: str, make: Callable[[DeviceModel, Senses, Noise], Emitter]) -> Entry:
    """On a serial line, unasked."""
    return Entry(
        driver=driver,
        speak=lambda model, room, rng, _zone: [make(model, room, rng)],
        stamps=False,
        transport="serial",
    )


def _display(name: str) -> Entry:
    transport = "tcp" if Kind(name) in _TCP else "serial"
    return _asked(name, partial(Display, protocol=PROTOCOLS[name]), transport=transport)


def _behind_chirpstack(name: str) -> Entry:
    report = REPORTS[name]
    return Entry(
        driver=name,
        model=report.model,
        client=lorawan.CHIRPSTACK,
        publishes=f"application/{lorawan.APPLICATION}/#",
        speak=lambda model, room, rng, _zone: [LorawanSensor(model, room, rng, report=report)],
    )


def _published(name: str) -> Entry:
    topic, compose = COMPOSED[name]
    return Entry(
        driver=name,
        model=_MODELS.get(name, ""),
        topic=topic,
        publishes=topic,
        speak=lambda model, room, rng, _zone: [Message(model, room, rng, topic.format(id=model.id), compose)],
        stamps=name in _STAMPING,
    )


_MODELS: Final = {"openmqttgateway": ARANET}
_STAMPING: Final = ("senml",)
"""Of those that are published in makers' own words: who says when it measured."""

CATALOGUE: Final = {
    Kind.TASMOTA_AIR: Entry(
        driver="tasmota",
        topic="tele/{id}/#",
        publishes="tele/{id}/#",
        speak=lambda model, room, rng, zone: [TasmotaAir(model, room, rng, zone)],
    ),
    Kind.TASMOTA_PLUG: Entry(
        driver="tasmota",
        topic="tele/{id}/#",
        publishes="tele/{id}/#",
        speak=lambda model, room, rng, zone: [
            TasmotaPlug(model, room, rng, zone),
            TasmotaState(model, room, rng, zone),
        ],
    ),
    Kind.ESPHOME: Entry(
        driver="home_assistant",
        speak=lambda model, room, rng, _zone: esphome.node(model, room, rng),
        stamps=False,
    ),
    Kind.CHIRPSTACK_AM: Entry(
        driver="lorawan",
        model=lorawan.MODEL,
        client=lorawan.CHIRPSTACK,
        publishes=f"application/{lorawan.APPLICATION}/#",
        speak=lambda model, room, rng, _zone: [LorawanSensor(model, room, rng, lorawan.CHIRPSTACK)],
    ),
    Kind.THINGS_STACK_AM: Entry(
        driver="lorawan",
        model=lorawan.MODEL,
        client=lorawan.THINGS_STACK,
        topic=lorawan.topic("{id}", lorawan.THINGS_STACK),
        publishes="v3/school@ttn/#",
        speak=lambda model, room, rng, _zone: [LorawanSensor(model, room, rng, lorawan.THINGS_STACK)],
    ),
    Kind.CO2_SERIAL: _asked("mhz19", Co2Sensor, model=mhz19.MODEL),
    Kind.MODBUS_AIR: _asked("modbus_rtu", AirSlave, model=modbus.AIR_MODEL),
    Kind.MODBUS_METER: _asked("modbus_rtu", MeterSlave, model=modbus.METER_MODEL),
    Kind.AERASGARD: _asked("aerasgard", AerasgardSlave, model=modbus.AERASGARD_MODEL),
    Kind.PZEM: _asked("pzem", PzemSlave),
    Kind.CHINT_DTSU666: _asked("chint_dtsu666", ChintSlave),
    Kind.HONEYWELL_HPMA: _asked("honeywell_hpma", HpmSensor, model=serial_sensors.HPM_MODEL),
    Kind.SENSIRION_SPS30: _asked("sensirion_sps30", Sps30),
    Kind.NOVA_SDS: _heard("nova_sds", Sds011),
    Kind.MCU680: _heard("mcu680", Mcu680),
    Kind.HOMIE: Entry(
        driver="homie",
        topic="homie/5/{id}/#",
        publishes="homie/5/{id}/#",
        speak=lambda model, room, rng, _zone: described.homie(model, room, rng),
        stamps=False,
    ),
    Kind.SPARKPLUG_B: Entry(
        driver="sparkplug_b",
        topic=f"spBv1.0/{described.GROUP}/+/{{id}}/#",
        publishes=f"spBv1.0/{described.GROUP}/+/{{id}}/#",
        speak=lambda model, room, rng, _zone: [described.SparkplugNode(model, room, rng)],
    ),
    **{Kind(name): _display(name) for name in PROTOCOLS},
    **{Kind(name): _behind_chirpstack(name) for name in REPORTS},
    **{Kind(name): _published(name) for name in COMPOSED},
}


def topic_of(model: DeviceModel) -> str:
    """Where a device of the catalogue publishes."""
    entry = CATALOGUE[model.kind]
    if entry.client == lorawan.CHIRPSTACK:
        return lorawan.topic(model.id, entry.client)
    return entry.topic.format(id=model.id)
