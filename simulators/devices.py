"""Every device of a scenario, built from its seed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from simulators import pjlink, plantower, vr, zigbee
from simulators.campus import Campus
from simulators.catalogue import CATALOGUE
from simulators.emissions import Commanded, Emission, emissions
from simulators.kinds import Kind
from simulators.pjlink import Projector
from simulators.plantower import PlantowerSensor
from simulators.seeding import Noise, stream
from simulators.senses import Senses
from simulators.timetable import Span
from simulators.vr import VrStation
from simulators.zigbee import ZigbeeDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    if model.framing:
        return "tcp"
    if model.kind in CATALOGUE:
        return CATALOGUE[model.kind].transport
    return _TRANSPORTS.get(model.kind, "mqtt")


def is_asked(model: DeviceModel) -> bool:
    """Whether it speaks over its serial line or its port only when it is asked; PJLink projectors are apart."""
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
    """The name of its serial line, or of its TCP address."""
    return model.line or model.id


class Devices:
    """The devices of one run, and the rooms they stand in."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self._seed = seed
        self.campus = Campus(scenario, seed)
        self.emitters: list[Emitter] = []
        self.projectors: list[Projector] = []
        self.asked: dict[str, list[Asked]] = {}
        """What is asked over serial lines, and over TCP by Modbus, by the line's name."""
        self.asked_by_tcp: list[Asked] = []
        """What is asked over TCP by words of its own, each at a port of its own."""
        self.senses: dict[str, Senses] = {}
        """What each device perceives with."""
        self.passwords: dict[str, str] = {}
        """By device, for projectors, and by client, for MQTT; new for every run."""
        for model in scenario.device:
            self._add(model)

    def day(self, perceive: Callable[[str, int], None] = lambda _device, _at_ms: None) -> Iterator[Emission]:
        """Every frame that devices send unasked, in order; to be taken once.

        `perceive` is called before a device measures, with the time.
        """
        return emissions(self.emitters, self.campus, self.scenario.start_ms, self.scenario.end_ms, perceive)

    def commanded(self, device: str) -> Commanded | None:
        """The device as one that can be told something, if it is one."""
        speaking = (emitter for emitter in self.emitters if emitter.id == device)
        return next((emitter for emitter in speaking if isinstance(emitter, Commanded)), None)

    def replace(self, device: str) -> None:
        """Put another device of the same model in its place, under its id: with counters and offsets of its own."""
        model = next(model for model in self.scenario.device if model.id == device)
        others = self._speaking(model, stream(self._seed, f"device/{device}/another"))
        places = [place for place, emitter in enumerate(self.emitters) if emitter.id == device]
        for place, emitter in zip(places, others, strict=True):
            self.emitters[place] = emitter

    def _add(self, model: DeviceModel) -> None:
        rng = stream(self._seed, f"device/{model.id}")
        senses = self.senses[model.id] = Senses(self.campus.rooms[model.room], rng)
        if transport_of(model) == "mqtt":
            self.passwords.setdefault(client_of(model), secrets.token_hex(8))
        if model.kind is Kind.PROJECTOR:
            self.projectors.append(Projector(model, senses.timetable, rng, self.scenario.start_ms))
            self.passwords[model.id] = secrets.token_hex(8) if model.password else ""
        elif model.kind in CATALOGUE and (ask := CATALOGUE[model.kind].ask) is not None:
            device = ask(model, senses, rng)
            if transport_of(model) == "tcp":
                self.passwords[model.id] = ""
            if transport_of(model) == "tcp" and not model.framing:
                self.asked_by_tcp.append(device)
            else:
                self.asked.setdefault(line_of(model), []).append(device)
        else:
            self.emitters += self._speaking(model, rng)

    def _speaking(self, model: DeviceModel, rng: Noise) -> list[Emitter]:
        senses = self.senses[model.id]
        senses.listen_to(rng)
        if model.kind in CATALOGUE:
            speak = CATALOGUE[model.kind].speak
            return [] if speak is None else list(speak(model, senses, rng, ZoneInfo(self.scenario.timezone)))
        if model.kind is Kind.PARTICLES:
            return [PlantowerSensor(model, senses, rng)]
        if model.kind is Kind.VR:
            return [VrStation(model, senses, rng)]
        return [ZigbeeDevice(model, senses, rng, self._alarms(model.id))]

    def _alarms(self, device: str) -> tuple[Span, ...]:
        starts = (
            (self.scenario.moment(alarm.at, alarm.day - 1), alarm)
            for alarm in self.scenario.alarm
            if alarm.device == device
        )
        return tuple(Span(start, start + alarm.minutes * 60_000) for start, alarm in starts)
