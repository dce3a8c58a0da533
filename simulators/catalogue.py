"""The kinds of devices beyond the first ones: who reads them, how they are reached, and how one is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators import esphome, lorawan, mhz19, modbus
from simulators.kinds import Kind
from simulators.lorawan import AmSensor
from simulators.mhz19 import Co2Sensor
from simulators.modbus import AirSlave, MeterSlave
from simulators.tasmota import TasmotaAir, TasmotaPlug, TasmotaState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random
    from zoneinfo import ZoneInfo

    from simulators.asked_line import Asked
    from simulators.emissions import Emitter
    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

    Speaking = Callable[[DeviceModel, Senses, Random, ZoneInfo], Iterable[Emitter]]
    Answering = Callable[[DeviceModel, Senses, Random], Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One kind: `speak` makes what is published unasked, `ask` a device on a serial line."""

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
        speak=lambda model, room, rng, _zone: [AmSensor(model, room, rng, lorawan.CHIRPSTACK)],
    ),
    Kind.THINGS_STACK_AM: Entry(
        driver="lorawan",
        model=lorawan.MODEL,
        client=lorawan.THINGS_STACK,
        topic=lorawan.topic("{id}", lorawan.THINGS_STACK),
        publishes="v3/school@ttn/#",
        speak=lambda model, room, rng, _zone: [AmSensor(model, room, rng, lorawan.THINGS_STACK)],
    ),
    Kind.CO2_SERIAL: Entry(driver="mhz19", model=mhz19.MODEL, ask=Co2Sensor),
    Kind.MODBUS_AIR: Entry(driver="modbus_rtu", model=modbus.AIR_MODEL, ask=AirSlave),
    Kind.MODBUS_METER: Entry(driver="modbus_rtu", model=modbus.METER_MODEL, ask=MeterSlave),
}


def topic_of(model: DeviceModel) -> str:
    """Where a device of the catalogue publishes."""
    entry = CATALOGUE[model.kind]
    if entry.client == lorawan.CHIRPSTACK:
        return lorawan.topic(model.id, entry.client)
    return entry.topic.format(id=model.id)
