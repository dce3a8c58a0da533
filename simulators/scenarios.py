"""Scenarios: which rooms and devices a simulated school has, and on which day; TOML, checked as a whole."""

from __future__ import annotations

import datetime as dt
import enum
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from telemetry import ConfigurationError, Placement
from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW_S: Final = 900
_FOLDER: Final = Path(__file__).parent / "scenarios"
_Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
_TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_Day = Annotated[str, StringConstraints(pattern=r"^(mon|tue|wed|thu|fri|sat|sun)$")]
_Date = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class ScenarioInvalid(ConfigurationError):
    """A scenario that does not exist or that no school can be built from; `mistakes` has one line for each."""

    code = "scenario"

    def __init__(self, what: str, *, where: str = "", fix: str = "", mistakes: tuple[str, ...] = ()) -> None:
        super().__init__(what, where=where, fix=fix)
        self.mistakes = mistakes


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


_ROLES: Final = {
    Kind.AIR: "room_sensor",
    Kind.CLIMATE: "room_sensor",
    Kind.MOTION: "room_sensor",
    Kind.DOOR: "room_sensor",
    Kind.PLUG: "plug",
    Kind.METER: "room_meter",
    Kind.SMOKE: "safety",
    Kind.LEAK: "safety",
    Kind.PARTICLES: "room_sensor",
    Kind.PROJECTOR: "display",
    Kind.VR: "vr_station",
    Kind.TASMOTA_AIR: "room_sensor",
    Kind.TASMOTA_PLUG: "plug",
    Kind.ESPHOME: "room_sensor",
    Kind.CHIRPSTACK_AM: "room_sensor",
    Kind.THINGS_STACK_AM: "room_sensor",
    Kind.CO2_SERIAL: "room_sensor",
    Kind.MODBUS_AIR: "room_sensor",
    Kind.MODBUS_METER: "room_meter",
}


class Load(enum.StrEnum):
    """What draws its power through a plug."""

    BOARD = "board"
    COMPUTER = "computer"
    RACK = "rack"


class _Model(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class TimetableModel(_Model):
    """The timetable as an agent is told it."""

    days: tuple[_Day, ...]
    hours: tuple[tuple[_TimeOfDay, _TimeOfDay], ...]
    holidays: tuple[_Date, ...] = ()
    make_up_days: tuple[_Date, ...] = ()


class WeatherModel(_Model):
    """The day outside: means, and the swing of the temperature about its mean."""

    temperature_c: float = Field(ge=-30, le=45)
    swing_c: float = Field(ge=0, le=20)
    humidity: float = Field(ge=5, le=100)
    pm25: float = Field(ge=0, le=500)


class RoomModel(_Model):
    """One room, or one place outdoors."""

    code: _Code
    building: _Code
    placement: Placement = Placement.INDOOR
    volume_m3: float = Field(default=200, gt=0, le=100_000)
    pupils: int = Field(default=0, ge=0, le=2000)
    lessons: tuple[int, ...] | None = None


class DeviceModel(_Model):
    """One device."""

    id: _Code
    room: _Code
    kind: Kind
    role: str = ""
    cadence_s: int = Field(default=60, ge=1, le=WINDOW_S)
    load: Load = Load.BOARD
    password: bool = False
    pjlink_class: int = Field(default=2, ge=1, le=2)
    line: str = ""
    """The serial line it shares with others of the same name; empty for one of its own."""
    address: int = Field(default=1, ge=1, le=247)
    """Its address on that line."""
    mqtt_version: Annotated[str, StringConstraints(pattern=r"^(5|3\.1\.1)$")] = "5"

    @property
    def stated_role(self) -> str:
        """The role an agent's configuration states for it."""
        return self.role or _ROLES[self.kind]


class AlarmModel(_Model):
    """A brief event that a safety device sees."""

    device: _Code
    at: _TimeOfDay
    minutes: int = Field(ge=1, le=120)


class Scenario(_Model):
    """A school and one of its days."""

    name: _Code
    title: str
    district: _Code
    school: _Code
    timezone: str
    date: dt.date
    starts: _TimeOfDay
    ends: _TimeOfDay
    lessons: tuple[tuple[_TimeOfDay, _TimeOfDay], ...]
    timetable: TimetableModel
    weather: WeatherModel
    room: tuple[RoomModel, ...]
    device: tuple[DeviceModel, ...]
    alarm: tuple[AlarmModel, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            yield f"timezone {self.timezone!r} is not in the time zone database"
            return
        if not self.start_ms < self.end_ms or self.start_ms % (WINDOW_S * 1000) or self.end_ms % (WINDOW_S * 1000):
            yield f"starts {self.starts} and ends {self.ends} are not two quarters of an hour, in this order"
        yield from _repeated("room", [room.code for room in self.room])
        yield from _repeated("device", [device.id for device in self.device])
        for room in self.room:
            for lesson in room.lessons or ():
                if not 1 <= lesson <= len(self.lessons):
                    yield f"room {room.code!r} has lesson {lesson}, and the day has {len(self.lessons)}"
        yield from self._device_faults()

    def _device_faults(self) -> Iterator[str]:
        rooms = {room.code for room in self.room}
        safety = {device.id for device in self.device if device.kind in (Kind.SMOKE, Kind.LEAK)}
        for device in self.device:
            if device.room not in rooms:
                yield f"device {device.id!r} stands in room {device.room!r}, which is not there"
            if WINDOW_S % device.cadence_s:
                yield f"device {device.id!r}: cadence_s {device.cadence_s} does not divide {WINDOW_S}"
        for alarm in self.alarm:
            if alarm.device not in safety:
                yield f"alarm: {alarm.device!r} is not a smoke or leak sensor of this scenario"

    def moment(self, time_of_day: str) -> int:
        """Milliseconds since 1970 at `HH:MM` local time on the scenario's date."""
        hour, minute = (int(part) for part in time_of_day.split(":"))
        local = dt.datetime.combine(self.date, dt.time(hour, minute), tzinfo=ZoneInfo(self.timezone))
        return int(local.timestamp()) * 1000

    @property
    def start_ms(self) -> int:
        """When the simulated part of the day begins."""
        return self.moment(self.starts)

    @property
    def end_ms(self) -> int:
        """The first millisecond after the simulated part of the day."""
        return self.moment(self.ends)


def _repeated(what: str, codes: list[str]) -> Iterator[str]:
    for code in sorted({code for code in codes if codes.count(code) > 1}):
        yield f"{what} {code!r} stands twice"


def names() -> list[str]:
    """The scenarios that come with the simulator."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """The scenario of that name, or in that TOML file. Raises `ScenarioInvalid` with every mistake at once."""
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(names())
        raise ScenarioInvalid(f"there is no scenario {name!r}", fix=f"use one of: {known}; or a .toml file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioInvalid(f"cannot be read: {error}", where=str(path)) from None
    try:
        table = tomllib.loads(text)
        return Scenario.model_validate({**table, "name": path.stem.lower()})
    except tomllib.TOMLDecodeError as error:
        raise ScenarioInvalid(str(error), where=f"{path}:{syntax_error_line(error)}") from None
    except ValidationError as error:
        line_of = locate(text)
        mistakes = tuple(
            f"{path}:{line_of(tuple(fault['loc']))}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}".replace(
                ": : ", ": "
            )
            for fault in error.errors()
        )
        raise ScenarioInvalid(
            "\n".join(mistakes), fix="mend the file; nothing was started", mistakes=mistakes
        ) from None
