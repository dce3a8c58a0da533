"""The rooms of a scenario moving through its days together, in fixed steps of simulated time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from simulators.kinds import Kind
from simulators.physics import (
    DAYLIGHT_FACTOR,
    STEP_MS,
    Air,
    Exchange,
    co2_generation_m3_s,
    exchange,
    sound_db,
    step_air,
)
from simulators.seeding import stream
from simulators.timetable import RoomTimetable
from simulators.weather import Weather
from telemetry import Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from numpy.typing import NDArray

    from simulators.scenarios import RoomModel, Scenario

    Floats = NDArray[np.float64]

_LAMPS_W: Final = 12 * 36.0
_BOARD_W: Final = 260.0
_PROJECTOR_W: Final = 285.0
_STANDBY_W: Final = 18.0
_RACK_W: Final = 640.0
_LAMPS_LX: Final = 340.0
_AIRING_PER_H: Final = 7.0
_PLANT_COOLING_PER_H: Final = 14.0
_PLANT_W_PER_K: Final = 1500.0
"""How a room's heating or cooling answers to a degree that is missing."""
_MOST_PLANT_W_M3: Final = 25.0
_TALKING_IN_BREAK: Final = 0.25


@dataclass(slots=True)
class Moment:
    """The time that all rooms of a campus have in common."""

    at_ms: int


class Room:
    """One room, indoors or out, as it is."""

    def __init__(
        self, model: RoomModel, timetable: RoomTimetable, weather: Weather, moment: Moment, rng: Random
    ) -> None:
        self.model, self.timetable = model, timetable
        self._moment, self._weather = moment, weather
        self._look: Callable[[], Air[float]] | None = None
        self._looked: tuple[int, Air[float]] = (-1, weather.air)
        # a few pupils are absent; windows never close alike
        self.pupils = max(0, model.pupils - rng.randrange(4)) if model.pupils else 0
        self.leak_per_h = rng.uniform(1.3, 2.4)
        self.has_projector = False

    def enclose(self, look: Callable[[], Air[float]]) -> None:
        """Give it air of its own: what `look` finds, which changes in whole steps only."""
        self._look = look

    @property
    def now_ms(self) -> int:
        """The last whole step."""
        return self._moment.at_ms

    @property
    def air(self) -> Air[float]:
        """The air in it."""
        if self._look is None:
            return self._weather.air
        if self._looked[0] != self.now_ms:
            self._looked = (self.now_ms, self._look())
        return self._looked[1]

    @property
    def people(self) -> int:
        """How many people are in the room."""
        return round(self.pupils * self.timetable.presence(self.now_ms))

    @property
    def is_lit(self) -> bool:
        """Whether the lamps are on: while somebody is there."""
        return self.people > 0

    @property
    def illuminance_lx(self) -> float:
        """Light on the desks, or outdoors."""
        if self.model.placement is Placement.OUTDOOR:
            return self._weather.daylight_lx
        return self._weather.daylight_lx * DAYLIGHT_FACTOR + (_LAMPS_LX if self.is_lit else 0.0)

    @property
    def sound_db(self) -> float:
        """The sound pressure level, A-weighted: one person talks in a lesson, nobody in an examination."""
        people, lesson = self.people, self.timetable.lesson(self.now_ms)
        talkers = people * _TALKING_IN_BREAK if lesson is None else float(people > 0 and not lesson.is_exam)
        return sound_db(talkers=talkers, volume_m3=self.model.volume_m3)

    @property
    def power_w(self) -> float:
        """What the room's circuit draws, by the timetable and the people; its heating and cooling not."""
        if self.model.placement is Placement.PLANT:
            return _RACK_W
        lesson = self.timetable.lesson(self.now_ms)
        power = _STANDBY_W + (_LAMPS_W if self.is_lit else 0.0)
        if lesson is not None and not lesson.is_exam:
            power += _BOARD_W
        if self.has_projector and self.timetable.in_session(self.now_ms):
            power += _PROJECTOR_W
        return power

    def actual(self, quantity: str) -> float | None:
        """What a perfect sensor of the quantity would say now; None of what rooms do not have."""
        look = _ACTUAL.get(quantity)
        return None if look is None else look(self)

    @property
    def changes_per_h(self) -> tuple[float, float]:
        """The air changes with windows shut, and open."""
        if self.model.placement is Placement.PLANT:
            return _PLANT_COOLING_PER_H, _PLANT_COOLING_PER_H
        return self.leak_per_h, _AIRING_PER_H


_ACTUAL: Final[dict[str, Callable[[Room], float]]] = {
    "carbon_dioxide": lambda room: room.air.co2_ppm,
    "temperature": lambda room: room.air.temperature_c,
    "humidity": lambda room: room.air.humidity,
    "pm25": lambda room: room.air.pm25,
    "illuminance": lambda room: room.illuminance_lx,
    "sound_pressure": lambda room: room.sound_db,
}


class Campus:
    """Every room and the weather, advanced in whole steps only, so that speed changes nothing."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        model = scenario.weather
        self._weather = Weather(stream(seed, "weather"), **model.model_dump(), latitude=scenario.latitude)
        self._moment = Moment(scenario.start_ms)
        self._zone = ZoneInfo(scenario.timezone)
        self._weather.step(self.now_ms + self._utc_offset_ms())
        timetables = _Timetables(scenario)
        self.rooms = {
            room.code: Room(room, timetables.of(room), self._weather, self._moment, stream(seed, f"room/{room.code}"))
            for room in scenario.room
        }
        for device in scenario.device:
            if device.kind is Kind.PROJECTOR:
                self.rooms[device.room].has_projector = True
        indoors = [room for room in self.rooms.values() if room.model.placement is not Placement.OUTDOOR]
        self._indoors = _Indoors(scenario, indoors, self._weather.air)

    @property
    def now_ms(self) -> int:
        """The last whole step."""
        return self._moment.at_ms

    def advance(self, to_ms: int) -> None:
        """Move everything on to the last whole step at or before `to_ms`."""
        if self.now_ms + STEP_MS > to_ms:
            return
        offset_ms = self._utc_offset_ms()
        while self.now_ms + STEP_MS <= to_ms:
            self._moment.at_ms += STEP_MS
            self._weather.step(self.now_ms + offset_ms)
            self._indoors.step(self.now_ms, self._weather.air)

    def _utc_offset_ms(self) -> int:
        offset = dt.datetime.fromtimestamp(self.now_ms / 1000, self._zone).utcoffset()
        return int(offset.total_seconds() * 1000) if offset else 0


class _Timetables:
    """The timetables of rooms; those of the same lessons have one in common."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._made: dict[tuple[int, ...] | None, RoomTimetable] = {}

    def of(self, room: RoomModel) -> RoomTimetable:
        numbers = room.lessons if room.pupils else ()
        if numbers not in self._made:
            self._made[numbers] = RoomTimetable(self._scenario, numbers)
        return self._made[numbers]


class _UseOfRooms(NamedTuple):
    """What goes on in all rooms until the next of their timetables changes anything."""

    until_ms: float
    is_anywhere: bool
    """Whether there are people in any of them."""
    people: Floats
    heat_w: Floats
    """Theirs, and what heats and cools the rooms, left out."""
    by: Exchange[Floats]


class _Indoors:
    """The air of all rooms that have walls, in arrays: a step of a thousand rooms takes little more than one of one."""

    def __init__(self, scenario: Scenario, rooms: Sequence[Room], outside: Air[float]) -> None:
        self._climate = scenario.climate
        self._has_plant = (scenario.climate.heating_c, scenario.climate.cooling_c) != (None, None)
        self._use: _UseOfRooms | None = None
        self._timetables = list({id(room.timetable): room.timetable for room in rooms}.values())
        numbers = {id(timetable): number for number, timetable in enumerate(self._timetables)}
        self._timetable_of = np.array([numbers[id(room.timetable)] for room in rooms], dtype=np.intp)
        self._pupils = np.array([float(room.pupils) for room in rooms])
        self._volume = np.array([room.model.volume_m3 for room in rooms])
        self._most_plant_w = _MOST_PLANT_W_M3 * self._volume
        self._is_plant = np.array([room.model.placement is Placement.PLANT for room in rooms], dtype=bool)
        self._projector_w = np.array([_PROJECTOR_W * room.has_projector for room in rooms])
        self._shut, self._open = (_exchanges(scenario, rooms, place) for place in (0, 1))
        start = (outside.co2_ppm + 25, outside.temperature_c + 2.5, outside.vapour_g_m3, outside.pm25 * 0.6)
        self._air = Air(*(np.full(len(rooms), value) for value in start))
        for place, room in enumerate(rooms):
            room.enclose(partial(self._air_of, place))

    def step(self, to_ms: int, outside: Air[float]) -> None:
        """Move on to `to_ms`, one step ahead."""
        if not self._timetables:
            return
        if self._use is None or to_ms >= self._use.until_ms:
            self._use = self._use_at(to_ms)
        use = self._use
        heat_w = use.heat_w
        if self._has_plant and use.is_anywhere:
            heat_w = np.where(self._is_plant, heat_w, heat_w + self._plant_w(use.people))
        step_air(self._air, use.by, use.people, heat_w, outside)

    def _use_at(self, at_ms: int) -> _UseOfRooms:
        states = [_state(timetable, at_ms) for timetable in self._timetables]
        presence, aired, board, session = np.array(states)[self._timetable_of].T
        people = np.rint(self._pupils * presence)
        heat_w = _STANDBY_W + _LAMPS_W * (people > 0) + _BOARD_W * board + self._projector_w * session
        is_open = aired > 0
        by = Exchange(
            *(np.where(is_open, getattr(self._open, name), getattr(self._shut, name)) for name in Exchange.__slots__)
        )
        until_ms = min(timetable.steady_until(at_ms) for timetable in self._timetables)
        return _UseOfRooms(until_ms, bool(people.any()), people, np.where(self._is_plant, _RACK_W, heat_w), by)

    def _air_of(self, place: int) -> Air[float]:
        air = self._air
        parts = (air.co2_ppm, air.temperature_c, air.vapour_g_m3, air.pm25)
        return Air(*(float(part[place]) for part in parts))

    def _plant_w(self, people: Floats) -> Floats:
        """Heating less cooling, of rooms with people in them."""
        most, temperature_c = self._most_plant_w, self._air.temperature_c
        warmth = np.zeros_like(most)
        if self._climate.heating_c is not None:
            warmth += _between(_PLANT_W_PER_K * (self._climate.heating_c - temperature_c), most)
        if self._climate.cooling_c is not None:
            warmth -= _between(_PLANT_W_PER_K * (temperature_c - self._climate.cooling_c), most)
        return np.where(people > 0, warmth, 0.0)


def _between(watts: Floats, most: Floats) -> Floats:
    """No less than 0 and no more than `most`; `numpy.clip` takes several times as long."""
    return np.minimum(np.maximum(watts, 0.0), most)


def _state(timetable: RoomTimetable, at_ms: int) -> tuple[float, float, float, float]:
    """Presence, and whether windows are open, the board is on, the projector may be."""
    lesson = timetable.lesson(at_ms)
    board = lesson is not None and not lesson.is_exam
    return (
        timetable.presence(at_ms),
        float(timetable.is_aired(at_ms)),
        float(board),
        float(timetable.in_session(at_ms)),
    )


def _exchanges(scenario: Scenario, rooms: Sequence[Room], place: int) -> Exchange[Floats]:
    """What the shut (0) or open (1) windows of every room mean for one step."""
    made = [
        exchange(
            room.model.volume_m3,
            room.changes_per_h[place],
            STEP_MS / 1000,
            co2_generation_m3_s(body_kg=scenario.body_kg, met=room.model.met),
        )
        for room in rooms
    ]
    return Exchange(*(np.array([getattr(each, name) for each in made]) for name in Exchange.__slots__))
