"""The rooms of a scenario moving through its day together, in fixed steps of simulated time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from simulators.physics import DAYLIGHT_FACTOR, STEP_MS, Air, Use, Weather, step_room
from simulators.scenarios import Kind
from simulators.seeding import stream
from simulators.timetable import RoomDay
from telemetry import Placement

if TYPE_CHECKING:
    from random import Random

    from simulators.scenarios import RoomModel, Scenario

_LAMPS_W: Final = 12 * 36.0
_BOARD_W: Final = 260.0
_PROJECTOR_W: Final = 285.0
_STANDBY_W: Final = 18.0
_RACK_W: Final = 640.0
_LAMPS_LX: Final = 340.0
_AIRING_PER_H: Final = 7.0
_PLANT_COOLING_PER_H: Final = 14.0


class Room:
    """One room, indoors or out, as its sensors find it."""

    def __init__(self, scenario: Scenario, model: RoomModel, weather: Weather, rng: Random) -> None:
        self.model = model
        self.day = RoomDay(scenario, model)
        self.now_ms = scenario.start_ms
        self._weather = weather
        # a few pupils are absent; windows never close alike
        self.pupils = model.pupils - rng.randrange(4) if model.pupils else 0
        self._leak_per_h = rng.uniform(1.3, 2.4)
        self._projector = any(device.room == model.code and device.kind is Kind.PROJECTOR for device in scenario.device)
        outside = weather.air
        self._air = Air(outside.co2_ppm + 25, outside.temperature_c + 2.5, outside.vapour_g_m3, outside.pm25 * 0.6)

    @property
    def air(self) -> Air:
        """The air at the sensors."""
        return self._weather.air if self.model.placement is Placement.OUTDOOR else self._air

    @property
    def people(self) -> int:
        """How many people are in the room."""
        return round(self.pupils * self.day.presence(self.now_ms))

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
    def power_w(self) -> float:
        """What the room's circuit draws, by the timetable and the people."""
        if self.model.placement is Placement.PLANT:
            return _RACK_W
        power = _STANDBY_W + (_LAMPS_W if self.is_lit else 0.0)
        if self.day.in_lesson(self.now_ms):
            power += _BOARD_W
        if self._projector and self.day.in_session(self.now_ms):
            power += _PROJECTOR_W
        return power

    def step(self, to_ms: int) -> None:
        """Move on to `to_ms`, one step ahead."""
        self.now_ms = to_ms
        if self.model.placement is Placement.OUTDOOR:
            return
        changes = self._leak_per_h
        if self.model.placement is Placement.PLANT:
            changes = _PLANT_COOLING_PER_H
        elif self.day.is_aired(to_ms):
            changes = _AIRING_PER_H
        use = Use(people=self.people, air_changes_per_h=changes, heat_w=self.power_w)
        step_room(self._air, self.model.volume_m3, use, self._weather.air, STEP_MS / 1000)


class Campus:
    """Every room and the weather, advanced in whole steps only, so that speed changes nothing."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        model = scenario.weather
        self._weather = Weather(
            stream(seed, "weather"),
            temperature_c=model.temperature_c,
            swing_c=model.swing_c,
            humidity=model.humidity,
            pm25=model.pm25,
        )
        self.now_ms = scenario.start_ms
        self._local_offset_ms = _utc_offset_ms(scenario)
        self._weather.step(self.now_ms + self._local_offset_ms)
        self.rooms = {
            room.code: Room(scenario, room, self._weather, stream(seed, f"room/{room.code}")) for room in scenario.room
        }

    def advance(self, to_ms: int) -> None:
        """Move everything on to the last whole step at or before `to_ms`."""
        while self.now_ms + STEP_MS <= to_ms:
            self.now_ms += STEP_MS
            self._weather.step(self.now_ms + self._local_offset_ms)
            for room in self.rooms.values():
                room.step(self.now_ms)


def _utc_offset_ms(scenario: Scenario) -> int:
    offset = dt.datetime.fromtimestamp(scenario.start_ms / 1000, ZoneInfo(scenario.timezone)).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0
