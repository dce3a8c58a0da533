"""Scenarios: which rooms and devices a simulated school has, and on which day; TOML, checked as a whole."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from simulators.kinds import MODBUS, ROLES, ROOM_SENSOR, Kind, Load
from simulators.physics import SEATED_MET
from telemetry import ConfigurationError, Placement
from telemetry.plain_words import keys_at, plainly, what_would_do
from telemetry.table_file import dotted
from telemetry.timetable_table import WEEKDAYS, TimetableTable
from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic_core import ErrorDetails, InitErrorDetails

WINDOW_S: Final = 900
MOST_DAYS: Final = 31
MOST_SCHOOLS: Final = 1000
_EARLIEST: Final = dt.date(2000, 1, 1)
_LATEST: Final = dt.date(2099, 12, 31)
_FOLDER: Final = Path(__file__).parent / "scenarios"
LONGEST_CODE: Final = 32
_Code = Annotated[str, StringConstraints(pattern=rf"^[a-z0-9-]{{1,{LONGEST_CODE}}}$")]
_MISFIT: Final = "misfit"


def _time(text: str) -> str:
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text) is None:
        raise ValueError("a time of day is written HH:MM")
    return text


def _day(text: str) -> str:
    try:
        is_day = text in WEEKDAYS or dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_day = False
    if not is_day:
        raise ValueError("a day is written mon, or 2026-11-30")
    return text


_TimeOfDay = Annotated[str, AfterValidator(_time)]
_Day = Annotated[str, AfterValidator(_day)]
_Place = tuple[str | int, ...]
_Misfit = tuple[str, _Place, *tuple[_Place, ...]]
"""What does not fit together, and the keys whose values do not, the likeliest to be wrong first."""


class ScenarioInvalid(ConfigurationError):
    """A scenario that does not exist or that no school can be built from; `mistakes` has one line for each."""

    code = "scenario"

    def __init__(self, what: str, *, where: str = "", fix: str = "", mistakes: tuple[str, ...] = ()) -> None:
        super().__init__(what, where=where, fix=fix)
        self.mistakes = mistakes


class _Model(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class WeatherModel(_Model):
    """The day outside: means, and the swing of the temperature about its mean."""

    temperature_c: float = Field(ge=-30, le=45)
    swing_c: float = Field(ge=0, le=20)
    humidity: float = Field(ge=5, le=100)
    pm25: float = Field(ge=0, le=500)


class BellsModel(_Model):
    """The lessons of certain days, by weekday or date, in place of the usual ones."""

    on: tuple[_Day, ...] = ()
    lessons: tuple[tuple[_TimeOfDay, _TimeOfDay], ...]
    attendance: float = Field(default=1.0, ge=0, le=1)
    """The share of the pupils who come."""
    exam: bool = False
    """Whether they sit examinations: in silence, with boards and projectors dark and windows shut."""


class RoomModel(_Model):
    """One room, or one place outdoors."""

    code: _Code
    building: _Code
    placement: Placement = Placement.INDOOR
    volume_m3: float = Field(default=200, gt=0, le=100_000)
    pupils: int = Field(default=0, ge=0, le=2000)
    met: float = Field(default=SEATED_MET, ge=0.8, le=8)
    """How hard they are at work: 1.2 at rest, 1.4 at a desk, 2 and more on their feet."""
    lessons: tuple[int, ...] | None = None
    """The numbers, from 1, of the lessons that are held in it; None for all."""


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
    """The serial line, or the gateway, it shares with others of the same name; empty for one of its own."""
    address: int = Field(default=1, ge=1, le=247)
    """Its address there."""
    framing: Annotated[str, StringConstraints(pattern=r"^(modbus-tcp|rtu-over-tcp)?$")] = ""
    """How Modbus reaches it over TCP, behind a gateway or a converter; empty for a serial line of the agent's own."""
    mqtt_version: Annotated[str, StringConstraints(pattern=r"^(5|3\.1\.1)$")] = "5"
    bridge: str = ""
    """The MQTT client that publishes for it, where there is more than one of its kind."""

    @property
    def stated_role(self) -> str:
        """The role an agent's configuration states for it."""
        return self.role or ROLES.get(self.kind, ROOM_SENSOR)


class AlarmModel(_Model):
    """A brief event that a safety device sees."""

    device: _Code
    day: int = Field(default=1, ge=1, le=MOST_DAYS)
    at: _TimeOfDay
    minutes: int = Field(ge=1, le=120)


class ClimateModel(_Model):
    """What the rooms are heated and cooled to while they are in use; None where there is no such plant."""

    heating_c: float | None = Field(default=None, ge=5, le=30)
    cooling_c: float | None = Field(default=None, ge=15, le=40)


class Scenario(_Model):
    """A school, and one or some of its days."""

    name: _Code
    title: str
    title_zh: str = ""
    district: _Code
    school: _Code
    schools: int = Field(default=1, ge=1, le=MOST_SCHOOLS)
    """How many such schools there are."""
    timezone: str
    latitude: float = Field(default=31.2, ge=-66, le=66)
    date: dt.date = Field(ge=_EARLIEST, le=_LATEST)
    days: int = Field(default=1, ge=1, le=MOST_DAYS)
    """How many days, from `date`: it begins at `starts` on the first, and is over at `ends` on the last."""
    starts: _TimeOfDay
    ends: _TimeOfDay
    lessons: tuple[tuple[_TimeOfDay, _TimeOfDay], ...]
    bells: tuple[BellsModel, ...] = ()
    body_kg: float = Field(default=50, ge=15, le=100)
    """What a pupil weighs."""
    airing_min: int = Field(default=10, ge=0, le=60)
    """Minutes that windows stand open after a lesson."""
    timetable: TimetableTable
    """As an agent is told it."""
    weather: WeatherModel
    climate: ClimateModel = ClimateModel()
    room: tuple[RoomModel, ...]
    device: tuple[DeviceModel, ...]
    alarm: tuple[AlarmModel, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults: list[InitErrorDetails] = [
            {
                "type": PydanticCustomError(_MISFIT, "{what}", {"what": what, "places": places}),
                "loc": places[0],
                "input": None,
            }
            for what, *places in self._faults()
        ]
        if faults:
            raise ValidationError.from_exception_data(type(self).__name__, faults)
        return self

    def _faults(self) -> Iterator[_Misfit]:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            yield f"{self.timezone!r} is not in the time zone database", ("timezone",)
            return
        yield from self._hours_faults()
        yield from _repeated("room", "code", [room.code for room in self.room])
        yield from _repeated("device", "id", [device.id for device in self.device])
        most = max(len(lessons) for lessons in (self.lessons, *(bells.lessons for bells in self.bells)))
        for index, room in enumerate(self.room):
            for lesson in room.lessons or ():
                if not 1 <= lesson <= most:
                    what = f"room {room.code!r} has lesson {lesson}, and the day has {most}"
                    yield what, ("room", index, "lessons"), ("lessons",)
        yield from self._device_faults()
        yield from self._alarm_faults()

    def _hours_faults(self) -> Iterator[_Misfit]:
        for key, moment in (("starts", self.start_ms), ("ends", self.end_ms)):
            if moment % (WINDOW_S * 1000):
                yield f"{getattr(self, key)} is not a quarter of an hour", (key,)
        if not self.start_ms < self.end_ms:
            yield f"ends {self.ends} is not after starts {self.starts}", ("ends",), ("starts",)
        bells = [(("bells", index, "lessons"), each.lessons) for index, each in enumerate(self.bells)]
        for place, lessons in ((("lessons",), self.lessons), *bells):
            times = [time for lesson in lessons for time in lesson]
            if times != sorted(set(times)):
                yield f"{times} are not times in order, each lesson over before the next begins", place

    def _device_faults(self) -> Iterator[_Misfit]:
        rooms = {room.code for room in self.room}
        framings: dict[str, str] = {}
        for index, device in enumerate(self.device):
            if device.room not in rooms:
                what = f"device {device.id!r} stands in room {device.room!r}, which is not there"
                yield what, ("device", index, "room"), ("room",)
            if WINDOW_S % device.cadence_s:
                what = f"device {device.id!r}: cadence_s {device.cadence_s} does not divide {WINDOW_S}"
                yield what, ("device", index, "cadence_s")
            if device.framing and device.kind not in MODBUS:
                what = f"device {device.id!r}: a {device.kind} speaks no Modbus, and has no framing"
                yield what, ("device", index, "framing")
            if device.line and framings.setdefault(device.line, device.framing) != device.framing:
                yield f"line {device.line!r} is reached in more than one framing", ("device", index, "framing")

    def _alarm_faults(self) -> Iterator[_Misfit]:
        safety = {device.id for device in self.device if device.kind in (Kind.SMOKE, Kind.LEAK)}
        for index, alarm in enumerate(self.alarm):
            if alarm.day > self.days:
                what = f"day {alarm.day} of {alarm.device!r} is not one of the {self.days}"
                yield what, ("alarm", index, "day"), ("days",)
            if alarm.device not in safety:
                what = f"{alarm.device!r} is not a smoke or leak sensor of this scenario"
                yield what, ("alarm", index, "device"), ("device",)

    def moment(self, time_of_day: str, day: int = 0) -> int:
        """Milliseconds since 1970 at `HH:MM` local time so many days after the scenario's date."""
        hour, minute = (int(part) for part in time_of_day.split(":"))
        date = self.date + dt.timedelta(days=day)
        local = dt.datetime.combine(date, dt.time(hour, minute), tzinfo=ZoneInfo(self.timezone))
        return int(local.timestamp()) * 1000

    @property
    def dates(self) -> tuple[dt.date, ...]:
        """Its days."""
        return tuple(self.date + dt.timedelta(days=day) for day in range(self.days))

    def bells_of(self, date: dt.date) -> BellsModel:
        """The lessons of a date: none on holidays and at weekends, those of a school day on days made up for."""
        if not self.timetable.is_school_day(date):
            return BellsModel(lessons=())
        for key in (date.isoformat(), WEEKDAYS[date.weekday()]):
            for bells in self.bells:
                if key in bells.on:
                    return bells
        return BellsModel(lessons=self.lessons)

    @property
    def start_ms(self) -> int:
        """When the simulated time begins."""
        return self.moment(self.starts)

    @property
    def end_ms(self) -> int:
        """The first millisecond after the simulated time."""
        return self.moment(self.ends, self.days - 1)


def _repeated(table: str, key: str, codes: list[str]) -> Iterator[_Misfit]:
    seen: set[str] = set()
    for index, code in enumerate(codes):
        if code in seen:
            yield f"{table} {code!r} stands twice", (table, index, key)
        seen.add(code)


def names() -> list[str]:
    """The scenarios that come with the simulator."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """The scenario of that name, or in that TOML file. Raises `ScenarioInvalid` with every mistake at once."""
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    text, table = _read(path, name)
    own = set(table)
    if "like" in table:
        table = _like(path, text, table)
    try:
        return Scenario.model_validate({**table, "name": path.stem.lower()})
    except ValidationError as error:
        line_of = locate(text)
        mistakes = tuple(_mistake(path, line_of, fault, own) for fault in error.errors())
        raise ScenarioInvalid(
            "\n".join(mistakes), fix="mend the file; nothing was started", mistakes=mistakes
        ) from None


def _read(path: Path, name: str) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        if path.parent != _FOLDER:
            raise ScenarioInvalid(
                "there is no such file",
                where=str(path),
                fix="name a file that is there, or a scenario of `bansui sim list`",
            ) from None
        known = ", ".join(names())
        raise ScenarioInvalid(f"there is no scenario {name!r}", fix=f"use one of: {known}; or a .toml file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioInvalid(f"cannot be read: {error}", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioInvalid(str(error), where=f"{path}:{syntax_error_line(error)}") from None


def _like(path: Path, text: str, table: dict[str, Any]) -> dict[str, Any]:
    """The table of the scenario that `like` names, with this one's keys in place of its own."""
    base, where = table.pop("like"), f"{path}:{locate(text)(('like',))}"
    known = [name for name in names() if name != path.stem]
    if base not in known:
        raise ScenarioInvalid(f"like: there is no scenario {base!r}", where=where, fix=f"one of: {', '.join(known)}")
    _, other = _read(_FOLDER / f"{base}.toml", base)
    if "like" in other:
        raise ScenarioInvalid(f"like: {base!r} is itself like another", where=where, fix=f"like = {other['like']!r}")
    if "title" in table:
        other.pop("title_zh", None)  # which tells of the other
    return {**other, **table}


def _mistake(path: Path, line_of: Callable[[tuple[str | int, ...]], int], fault: ErrorDetails, own: set[str]) -> str:
    """Where, what stands there, what is wrong with it."""
    place = tuple(fault["loc"])
    if fault["type"] == _MISFIT:
        place = next((each for each in fault["ctx"]["places"] if each[0] in own), place)
    key = dotted(place) if place else ""
    fix = what_would_do(fault, [key for key in keys_at(Scenario, place[:-1]) if (*place[:-1], key) != ("name",)])
    what = plainly(fault)
    is_a_value = fault["type"] not in ("extra_forbidden", "missing") and isinstance(fault["input"], str | int | float)
    found = (f" (found {fault['input']!r})" if is_a_value else "") + (f"; {fix}" if fix else "")
    inherited = ", from the scenario it is like" if place and place[0] not in own and fault["type"] != "missing" else ""
    head = f"{path}:{line_of(place)}"
    return f"{head}: {key}{inherited}: {what}{found}" if key else f"{head}: {what}"
