"""The kinds of simulated devices, and the role that an agent's configuration states for each."""

from __future__ import annotations

import enum
from typing import Final


class Kind(enum.StrEnum):
    """What a simulated device is, and so what it puts on the wire."""

    AIR = "air"
    CLIMATE = "climate"
    MOTION = "motion"
    DOOR = "door"
    PLUG = "plug"
    METER = "meter"
    SMOKE = "smoke"
    LEAK = "leak"
    PARTICLES = "particles"
    PROJECTOR = "projector"
    VR = "vr"
    TASMOTA_AIR = "tasmota_air"
    TASMOTA_PLUG = "tasmota_plug"
    ESPHOME = "esphome"
    CHIRPSTACK_AM = "chirpstack_am"
    THINGS_STACK_AM = "things_stack_am"
    CO2_SERIAL = "co2_serial"
    MODBUS_AIR = "modbus_air"
    MODBUS_METER = "modbus_meter"


class Load(enum.StrEnum):
    """What draws its power through a plug."""

    BOARD = "board"
    COMPUTER = "computer"
    RACK = "rack"
    CART = "cart"
    """A cart that charges VR headsets after the lessons they were worn in."""


ROLES: Final = {
    Kind.PLUG: "plug",
    Kind.METER: "room_meter",
    Kind.SMOKE: "safety",
    Kind.LEAK: "safety",
    Kind.PROJECTOR: "display",
    Kind.VR: "vr_station",
    Kind.TASMOTA_PLUG: "plug",
    Kind.MODBUS_METER: "room_meter",
}
"""A kind that is not here is a room's sensor."""
ROOM_SENSOR: Final = "room_sensor"
