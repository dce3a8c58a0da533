"""The wiring of a simulated school, as whoever configures an agent for it reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints, model_validator

from bansui import sim_files
from simulators.wiring import SCHEMA
from telemetry import ScaledClock

if TYPE_CHECKING:
    from pathlib import Path

# an id becomes part of a file's name
_Code: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
_Port: TypeAlias = Annotated[int, Field(ge=1, le=65_535)]
_Time: TypeAlias = Annotated[int, Field(ge=0, lt=10**14)]
_Speed: TypeAlias = Annotated[FiniteFloat, Field(gt=0)]


class SchoolTables(BaseModel):
    """What a centre is told of a school."""

    district: _Code
    school: _Code
    timezone: str
    timetable: dict[str, Any]


class Room(BaseModel):
    """A room."""

    code: str
    building: str
    placement: str


class Device(BaseModel):
    """A device, and where it is reached."""

    id: _Code
    room: str
    role: str
    driver: str
    model: str
    cadence_s: int
    transport: Literal["mqtt", "serial", "tcp"]
    mqtt: dict[str, str | int] = Field(default_factory=dict)
    serial: dict[str, str | int] = Field(default_factory=dict)
    tcp: dict[str, str | int] = Field(default_factory=dict)
    options: dict[str, str | int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_reached_somewhere(self) -> Self:
        if not self.address:
            raise ValueError("it does not say where the device is reached")
        return self

    @property
    def address(self) -> dict[str, str | int]:
        """Where, in the words of its transport."""
        return {"mqtt": self.mqtt, "serial": self.serial, "tcp": self.tcp}[self.transport]


class Client(BaseModel):
    """A login that devices have, and what it publishes."""

    id: _Code
    password: str
    publish: list[str]


class Relay(BaseModel):
    """Where an uplink goes that can be cut."""

    host: str
    port: _Port


class Wiring(SchoolTables):
    """All of it."""

    clock: tuple[_Time, _Time, _Speed]
    rooms: list[Room]
    devices: list[Device]
    clients: list[Client]
    relay: Relay | None

    @property
    def shared_clock(self) -> ScaledClock:
        """The time of the school's day."""
        return ScaledClock(*self.clock)


def read(path: Path) -> Wiring:
    """The wiring in a file. Raises `RunFileUnreadable`."""
    return sim_files.read(path, Wiring, schema=SCHEMA, option="--wiring")
