"""Every device of a scenario, built from its seed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from simulators import pjlink, plantower, vr, zigbee
from simulators.campus import Campus
from simulators.catalogue import CATALOGUE
from simulators.emissions import Emission, emissions
from simulators.kinds import Kind
from simulators.pjlink import Projector
from simulators.plantower import PlantowerSensor
from simulators.seeding import stream
from simulators.senses import Senses
from simulators.timetable import Span
from simulators.vr import VrStation
from simulators.zigbee import ZigbeeDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from simulators.asked_line import Asked
    from simulators.emissions import Emitter
    from simulators.scenarios import DeviceModel, Scenario

_DRIVERS: Final = {Kind.PARTICLES: "plantower", Kind.PROJECTOR: "pjlink", Kind.VR: "vr_station"}
_TRANSPORTS: Final = {Kind.PARTICLES: "serial", Kind.PROJECTOR: "tcp"}


def driver_of(model: DeviceModel) -> str:
    """The id of the driver that an agent reads the device with."""
    if model.kind in CATALOGUE:
        return CATALOGUE[model.kind].driver
    return _DRIVERS.get(model.kind, "zigbee2mqtt")


def transport_of(model: DeviceModel) -> str:
    """`mqtt`, `serial` or `tcp`."""
    if model.kind in CATALOGUE:
        return "serial" if is_asked(model) else "mqtt"
    return _TRANSPORTS.get(model.kind, "mqtt")


def is_asked(model: DeviceModel) -> bool:
    """Whether it speaks over its serial line only when it is asked."""
    return model.kind in CATALOGUE and CATALOGUE[model.kind].ask is not None


def stamps(model: DeviceModel) -> bool:
    """Whether its frames say when they were measured."""
    return transport_of(model) == "mqtt" and (model.kind not in CATALOGUE or CATALOGUE[model.kind].stamps)


def model_of(model: DeviceModel) -> str:
    """The device's model, as its label says."""
    if model.kind in CATALOGUE:
        return CATALOGUE[model.kind].model
    if model.kind is Kind.PROJECTOR:
        return pjlink.MODEL.format(model.pjlink_class)
    if model.kind is Kind.PARTICLES:
        return plantower.MODEL
    return vr.MODEL if model.kind is Kind.VR else zigbee.MODELS[model.kind]


def client_of(model: DeviceModel) -> str:
    """The MQTT client that publishes for the device: a bridge or a network server, or the device itself."""
    if model.kind in CATALOGUE:
        shared = CATALOGUE[model.kind].client
    else:
        shared = "" if model.kind is Kind.VR else zigbee.CLIENT_ID
    return (model.bridge or shared) if shared else model.id


def line_of(model: DeviceModel) -> str:
    """The name of its serial line."""
    return model.line or model.id


class Devices:
    """The devices of one run, and the rooms they stand in."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.campus = Campus(scenario, seed)
        self.emitters: list[Emitter] = []
        self.projectors: list[Projector] = []
        self.asked: dict[str, list[Asked]] = {}
        """What is asked over serial lines, by the line's name."""
        self.senses: dict[str, Senses] = {}
        """What each device perceives with."""
        self.passwords: dict[str, str] = {}
        """By device, for projectors, and by client, for MQTT; new for every run."""
        for model in scenario.device:
            self._add(model, seed)

    def day(self) -> Iterator[Emission]:
        """Every frame that devices send unasked, in order; to be taken once."""
        return emissions(self.emitters, self.campus, self.scenario.start_ms, self.scenario.end_ms)

    def _add(self, model: DeviceModel, seed: int) -> None:
        rng = stream(seed, f"device/{model.id}")
        room = self.senses[model.id] = Senses(self.campus.rooms[model.room], rng)
        if model.kind is Kind.PROJECTOR:
            self.projectors.append(Projector(model, room.timetable, rng, self.scenario.start_ms))
            self.passwords[model.id] = secrets.token_hex(8) if model.password else ""
            return
        if model.kind is Kind.PARTICLES:
            self.emitters.append(PlantowerSensor(model, room, rng))
            return
        if model.kind in CATALOGUE:
            self._add_from_catalogue(model, room, rng)
            return
        self.passwords.setdefault(client_of(model), secrets.token_hex(8))
        if model.kind is Kind.VR:
            self.emitters.append(VrStation(model, room, rng))
        else:
            self.emitters.append(ZigbeeDevice(model, room, rng, self._alarms(model.id)))

    def _add_from_catalogue(self, model: DeviceModel, room: Senses, rng: Random) -> None:
        entry = CATALOGUE[model.kind]
        if entry.ask is not None:
            self.asked.setdefault(line_of(model), []).append(entry.ask(model, room, rng))
        if entry.speak is not None:
            self.passwords.setdefault(client_of(model), secrets.token_hex(8))
            self.emitters += entry.speak(model, room, rng, ZoneInfo(self.scenario.timezone))

    def _alarms(self, device: str) -> tuple[Span, ...]:
        starts = (
            (self.scenario.moment(alarm.at, alarm.day - 1), alarm)
            for alarm in self.scenario.alarm
            if alarm.device == device
        )
        return tuple(Span(start, start + alarm.minutes * 60_000) for start, alarm in starts)
