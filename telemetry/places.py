"""Where things are: district / school / building / room, each an opaque code."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from telemetry.errors import ContractViolation

CODE: Final = re.compile(r"[a-z0-9-]{1,32}")
CHANNEL: Final = re.compile(r"[a-z0-9_-]{1,16}")


class Placement(enum.StrEnum):
    """What kind of place a room is, which decides what its readings say about people."""

    INDOOR = "indoor"
    OUTDOOR = "outdoor"
    PLANT = "plant"


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


class MalformedPlace(ContractViolation):
    """A code or a path of codes that no place can have."""

    code = "malformed_place"


def check_code(text: str, what: str) -> str:
    """Return `text` when it is a code. Raises `MalformedPlace` naming `what`."""
    if CODE.fullmatch(text) is None:
        raise MalformedPlace(f"{what} {text!r} is not a code", fix="use 1 to 32 of a-z, 0-9 and '-'")
    return text


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A room, by its codes; never a person's or a class teacher's name."""

    district: str
    school: str
    building: str
    room: str

    def __post_init__(self) -> None:
        for what in ("district", "school", "building", "room"):
            check_code(getattr(self, what), what)

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `district/school/building/room`. Raises `MalformedPlace`."""
        parts = text.split("/")
        if len(parts) != 4:
            raise MalformedPlace(f"{text!r} is not district/school/building/room")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.district}/{self.school}/{self.building}/{self.room}"
