"""The class of a reading: a function of quantity, placement and device role, from the least class upwards.

Design: default deny. A device that people switch makes a record of the person who switches it, so all its values
fall into class D(b); a room that people use makes every value P1 that would be E outdoors.
"""

from __future__ import annotations

import enum
from typing import Final

from telemetry import Placement, PrivacyClass, Quantity


class Role(enum.StrEnum):
    """What a device is for, as the configuration states it."""

    ROOM_SENSOR = "room_sensor"
    ROOM_METER = "room_meter"
    """Measures a circuit that serves a whole room or more."""
    PEOPLE_COUNTER = "people_counter"
    DISPLAY = "display"
    COMPUTER = "computer"
    VR_STATION = "vr_station"
    PLUG = "plug"
    """Measures one appliance that people switch."""
    SAFETY = "safety"
    INFRASTRUCTURE = "infrastructure"


SWITCHED: Final = frozenset({Role.DISPLAY, Role.COMPUTER, Role.VR_STATION, Role.PLUG})
_FIXED: Final = frozenset({PrivacyClass.X, PrivacyClass.S, PrivacyClass.P2})


def classify(quantity: Quantity, placement: Placement, role: Role) -> PrivacyClass:
    """The class that decides what leaves the school of this quantity, here, from such a device."""
    least = quantity.least_class
    if least in _FIXED:
        return least
    if role in SWITCHED:
        return PrivacyClass.DB
    if least in (PrivacyClass.DA, PrivacyClass.DB):
        return least
    if least is PrivacyClass.E and placement is not Placement.INDOOR:
        return PrivacyClass.E
    return PrivacyClass.P1
