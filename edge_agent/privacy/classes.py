"""The class of a reading: a function of quantity, placement and device role, from the least class upwards.

Design: default deny. A device that people switch makes a record of the person who switches it, so all its values
fall into class D(b); a room that people use makes every value P1 that would be E outdoors.
"""

from __future__ import annotations

from typing import Final

from telemetry import Placement, PrivacyClass, Quantity, Role

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
