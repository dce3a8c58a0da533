"""VR stations that tell of their health over MQTT, one JSON object on `bansui/vr/<device>` per report.

Format: Bansui VR station JSON, version 1. `v`, `time` (milliseconds since 1970, the station's own clock) and
`seq` are the envelope; the rest is the health of the machine. Nothing in it is of the person who wears it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.emissions import Emission
from simulators.json_text import compact

if TYPE_CHECKING:
    from random import Random

    from simulators.scenarios import DeviceModel
    from simulators.senses import Senses

BASE_TOPIC: Final = "bansui/vr"
MODEL: Final = "vr-station-v1"
THERMAL: Final = ("nominal", "fair", "serious", "critical")
_DRAIN_PER_H: Final = 42.0
_CHARGE_PER_H: Final = 55.0
_HEAT_PER_H: Final = 2.6
_COOL_PER_H: Final = 5.0


class VrStation:
    """One station: worn in the room's lessons, on its charger otherwise."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Random) -> None:
        self.id = model.id
        self.topic = f"{BASE_TOPIC}/{model.id}"
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._room, self._rng = room, rng
        self._sequence = rng.randrange(1000)
        self._battery = rng.uniform(80.0, 100.0)
        self._heat = 0.0
        self._dropped = rng.randrange(4000)

    def emit(self, at_ms: int) -> Emission:
        """The report of that moment."""
        worn = self._room.timetable.in_lesson(at_ms) and self._room.people > 0
        hours = self.cadence_ms / 3_600_000
        drift = -_DRAIN_PER_H if worn else _CHARGE_PER_H
        self._battery = min(100.0, max(4.0, self._battery + drift * hours))
        self._heat = min(3.4, max(0.0, self._heat + (_HEAT_PER_H if worn else -_COOL_PER_H) * hours))
        thermal = int(self._heat)
        self._sequence += 1
        if worn:
            self._dropped += self._rng.randrange(3 + 12 * thermal)
        rate = 72.0 - 4.0 * thermal - abs(self._rng.gauss(0.0, 0.6)) if worn else 0.0
        battery = round(self._room.battery(self._battery))
        report = {
            "v": 1,
            "time": at_ms,
            "seq": self._sequence,
            "battery": battery,
            "charging": not worn and self._battery < 100.0,
            "state": "worn" if worn else "idle",
            "dropped_frames": self._dropped,
            "frame_rate": round(rate, 1),
            "thermal": THERMAL[thermal],
        }
        readings = (
            ("battery", float(battery)),
            ("battery_charging", float(not worn and self._battery < 100.0)),
            ("headset_worn", float(worn)),
            ("dropped_frames", float(self._dropped)),
            ("frame_rate", round(rate, 1)),
            ("thermal_state", float(thermal)),
        )
        return Emission(self.id, at_ms, self.topic, compact(report), readings)
