"""Every device of a scenario, built from its seed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from simulators import pjlink, plantower, vr, zigbee
from simulators.campus import Campus
from simulators.emissions import Emission, emissions
from simulators.pjlink import Projector
from simulators.plantower import PlantowerSensor
from simulators.scenarios import DeviceModel, Kind, Scenario
from simulators.seeding import stream
from simulators.timetable import Span
from simulators.vr import VrStation
from simulators.zigbee import ZigbeeDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.emissions import Emitter

_DRIVERS: Final = {Kind.PARTICLES: "plantower", Kind.PROJECTOR: "pjlink", Kind.VR: "vr_station"}
_TRANSPORTS: Final = {Kind.PARTICLES: "serial", Kind.PROJECTOR: "tcp"}


def driver_of(model: DeviceModel) -> str:
    """The id of the driver that an agent reads the device with."""
    return _DRIVERS.get(model.kind, "zigbee2mqtt")


def transport_of(model: DeviceModel) -> str:
    """`mqtt`, `serial` or `tcp`."""
    return _TRANSPORTS.get(model.kind, "mqtt")


def model_of(model: DeviceModel) -> str:
    """The device's model, as its label says."""
    if model.kind is Kind.PROJECTOR:
        return pjlink.MODEL.format(model.pjlink_class)
    if model.kind is Kind.PARTICLES:
        return plantower.MODEL
    return vr.MODEL if model.kind is Kind.VR else zigbee.MODELS[model.kind]


def client_of(model: DeviceModel) -> str:
    """The MQTT client that publishes for the device: the bridge for Zigbee, the station itself for VR."""
    return model.id if model.kind is Kind.VR else zigbee.CLIENT_ID


class Devices:
    """The devices of one run, and the rooms they stand in."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.campus = Campus(scenario, seed)
        self.emitters: list[Emitter] = []
        self.projectors: list[Projector] = []
        self.passwords: dict[str, str] = {}
        """By device, for projectors, and by client, for MQTT; new for every run."""
        for model in scenario.device:
            self._add(model, seed)

    def day(self) -> Iterator[Emission]:
        """Every frame that devices send unasked, in order; to be taken once."""
        return emissions(self.emitters, self.campus, self.scenario.start_ms, self.scenario.end_ms)

    def _add(self, model: DeviceModel, seed: int) -> None:
        room = self.campus.rooms[model.room]
        rng = stream(seed, f"device/{model.id}")
        if model.kind is Kind.PROJECTOR:
            self.projectors.append(Projector(model, room.day, rng, self.scenario.start_ms))
            self.passwords[model.id] = secrets.token_hex(8) if model.password else ""
            return
        if model.kind is Kind.PARTICLES:
            self.emitters.append(PlantowerSensor(model, room, rng))
            return
        self.passwords.setdefault(client_of(model), secrets.token_hex(8))
        if model.kind is Kind.VR:
            self.emitters.append(VrStation(model, room, rng))
        else:
            self.emitters.append(ZigbeeDevice(model, room, rng, self._alarms(model.id)))

    def _alarms(self, device: str) -> tuple[Span, ...]:
        starts = ((self.scenario.moment(alarm.at), alarm) for alarm in self.scenario.alarm if alarm.device == device)
        return tuple(Span(start, start + alarm.minutes * 60_000) for start, alarm in starts)
