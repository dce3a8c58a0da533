"""What one device measures of its room, in the whole steps of its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from telemetry.vocabulary import quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.seeding import Noise
    from simulators.senses import Senses

Readings: TypeAlias = "tuple[tuple[str, float], ...]"

_HPA_AT_SEA: Final = 1013.2
_VOLTS: Final = 229.0
_PHASE: Final = 0.95
_MS_PER_H: Final = 3_600_000


class Gauge:
    """Measures, and remembers what it said until `told` is asked."""

    def __init__(self, room: Senses, rng: Noise) -> None:
        self.room, self.rng = room, rng
        self._told: list[tuple[str, float]] = []
        self._energy_kwh = rng.uniform(50.0, 900.0)
        self._charge = rng.uniform(62.0, 100.0)
        self._metered_ms = room.room.now_ms

    def take(self, name: str, step: float = 1.0) -> int:
        """What it measures of a quantity, in steps of `step` of the vocabulary's unit."""
        steps = round(_MEASURE[name](self) / step)
        self.say(name, steps * step)
        return steps

    def number(self, name: str, decimals: int = 0) -> float:
        """The same as a number with so many decimals."""
        value = round(_MEASURE[name](self), decimals)
        self.say(name, value)
        return value

    def state(self, name: str, state: str) -> None:
        """It is in one of the quantity's states."""
        self.say(name, float(quantity(name).states.index(state)))

    def say(self, name: str, value: float) -> None:
        """It says so, whatever it measures."""
        self._told.append((name, round(value, 9)))

    def told(self) -> Readings:
        """All that it has said since this was asked last."""
        told, self._told = tuple(self._told), []
        return told

    @property
    def now_ms(self) -> int:
        """The time, in whole steps of the room's."""
        return self.room.room.now_ms

    def energy_kwh(self) -> float:
        """What has been drawn, since the meter was made."""
        self._energy_kwh += self.room.power_w / 1000 * (self.now_ms - self._metered_ms) / _MS_PER_H
        self._metered_ms = self.now_ms
        return self._energy_kwh

    def charge(self) -> float:
        """What is left in the battery, in percent."""
        return self.room.battery(self._charge)

    def dust(self, share: float) -> float:
        """The part of the fine dust that is smaller than another size."""
        return max(0.0, share * self.room.air.pm25 * (1 + self.rng.gauss(0.0, 0.03)))


_MEASURE: Final[dict[str, Callable[[Gauge], float]]] = {
    "carbon_dioxide": lambda gauge: max(300.0, gauge.room.air.co2_ppm + gauge.rng.gauss(0.0, 8.0)),
    "temperature": lambda gauge: gauge.room.air.temperature_c + gauge.rng.gauss(0.0, 0.05),
    "humidity": lambda gauge: min(100.0, max(0.0, gauge.room.air.humidity + gauge.rng.gauss(0.0, 0.3))),
    "pm1": lambda gauge: gauge.dust(0.66),
    "pm25": lambda gauge: gauge.dust(1.0),
    "pm4": lambda gauge: gauge.dust(1.1),
    "pm10": lambda gauge: gauge.dust(1.18),
    "illuminance": lambda gauge: max(0.0, gauge.room.illuminance_lx * (1 + gauge.rng.gauss(0.0, 0.02))),
    "sound_pressure": lambda gauge: gauge.room.sound_db + gauge.rng.gauss(0.0, 0.8),
    "atmospheric_pressure": lambda gauge: _HPA_AT_SEA + gauge.rng.gauss(0.0, 0.2),
    "voc_index": lambda gauge: min(500.0, 100 + 2 * gauge.room.people + abs(gauge.rng.gauss(0.0, 4.0))),
    "volatile_organic_compounds_parts": lambda gauge: 120 + 4 * gauge.room.people + abs(gauge.rng.gauss(0.0, 9.0)),
    "occupancy": lambda gauge: float(gauge.room.people > 0),
    "motion": lambda gauge: float(gauge.room.people > 0),
    "motion_count": lambda gauge: float(min(200, gauge.room.people * 2)),
    "opening": lambda gauge: float(gauge.room.people > 0 and not gauge.room.timetable.in_lesson(gauge.now_ms)),
    "headset_worn": lambda gauge: float(gauge.room.timetable.in_lesson(gauge.now_ms) and gauge.room.people > 0),
    "battery": lambda gauge: gauge.charge(),
    "battery_voltage": lambda gauge: 2.4 + 1.2 * gauge.charge() / 100,
    "battery_low": lambda gauge: float(gauge.charge() < 20),
    "power": lambda gauge: max(0.0, gauge.room.power_w * (1 + gauge.rng.gauss(0.0, 0.01))),
    "voltage": lambda gauge: _VOLTS + gauge.rng.gauss(0.0, 0.7),
    "current": lambda gauge: gauge.room.power_w / _VOLTS / _PHASE,
    "frequency": lambda gauge: 50.0 + gauge.rng.gauss(0.0, 0.01),
    "power_factor": lambda _gauge: _PHASE,
    "energy": lambda gauge: gauge.energy_kwh(),
    "device_temperature": lambda gauge: gauge.room.air.temperature_c + 9 + gauge.rng.gauss(0.0, 0.4),
}
