"""What one device perceives of its room: the room as it is, unless its sensor is at fault."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.campus import Room
    from simulators.physics import Air
    from simulators.seeding import Noise
    from simulators.timetable import RoomTimetable


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """All that a sensor can perceive, at one moment."""

    air: Air[float]
    people: int
    illuminance_lx: float
    sound_db: float
    power_w: float

    @classmethod
    def of(cls, room: Room) -> Seen:
        """What is there to be perceived now."""
        return cls(dataclasses.replace(room.air), room.people, room.illuminance_lx, room.sound_db, room.power_w)


class Senses:
    """One device's view of its room."""

    def __init__(self, room: Room, noise: Noise) -> None:
        self.room, self._noise = room, noise
        self._held: Seen | None = None
        self.error = 0.0
        """The share by which every measured value is off: what a blow to the sensor, or its age, does."""
        self.most_battery = 100.0
        """What is left in the battery at most."""

    def listen_to(self, noise: Noise) -> None:
        """Take another device's noise for its own: what stands here has been replaced."""
        self._noise = noise

    @property
    def timetable(self) -> RoomTimetable:
        """The lessons in the room."""
        return self.room.timetable

    @property
    def air(self) -> Air[float]:
        """The air as the sensor finds it."""
        air = self.room.air if self._held is None else self._held.air
        if not self.error:
            return air
        factor = 1 + self.error
        return dataclasses.replace(
            air,
            co2_ppm=air.co2_ppm * factor,
            temperature_c=air.temperature_c + 20 * self.error,
            vapour_g_m3=air.vapour_g_m3 * factor,
            pm25=air.pm25 * factor,
        )

    @property
    def people(self) -> int:
        """How many people there are."""
        return self.room.people if self._held is None else self._held.people

    @property
    def illuminance_lx(self) -> float:
        """The light as the sensor finds it."""
        light = self.room.illuminance_lx if self._held is None else self._held.illuminance_lx
        return light * (1 + self.error)

    @property
    def sound_db(self) -> float:
        """The sound as the sensor finds it."""
        sound = self.room.sound_db if self._held is None else self._held.sound_db
        return sound + 20 * self.error

    @property
    def power_w(self) -> float:
        """The power as the meter finds it."""
        power = self.room.power_w if self._held is None else self._held.power_w
        return power * (1 + self.error)

    def battery(self, own: float) -> float:
        """The charge that is left, of a battery that would have `own` percent."""
        return min(own, self.most_battery)

    def hang(self) -> None:
        """Perceive from now on what is perceived now, and nothing else."""
        self._held = Seen.of(self.room)
        self._noise.still = True

    def wake(self) -> None:
        """Perceive again."""
        self._held = None
        self._noise.still = False
