"""The ground truth of a run: what was sent, what was confirmed, and what every window should say.

Schema 1, one JSON object. A reading is one vocabulary measurement that the format's document says is in a frame.
At QoS 1 a frame is confirmed by its PUBACK; a serial or TCP frame is confirmed when the line has taken it, which
promises nothing: such devices are `at_most_once`, and an agent may have received fewer, never more.
`windows` hold quantities whose summary is a mean, of devices that stamp their own readings: the sum, in ticks, of
the last value in each cadence slot, and the number of slots filled.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry.quantities import Summarise
from telemetry.vocabulary import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from simulators.emissions import Emission
    from telemetry import ScaledClock

SCHEMA: Final = 1
WINDOW_S: Final = 900
_WINDOW_MS: Final = WINDOW_S * 1000


@dataclass(slots=True)
class DeviceTruth:
    """What one device did."""

    driver: str
    transport: str
    cadence_ms: int
    stamps: bool
    """Whether its frames say when they were measured."""
    frames_sent: int = 0
    frames_confirmed: int = 0
    readings_sent: int = 0
    readings_confirmed: int = 0

    def sent(self, readings: int) -> None:
        """A frame left the device."""
        self.frames_sent += 1
        self.readings_sent += readings

    def confirmed(self, readings: int) -> None:
        """A frame that left was confirmed."""
        self.frames_confirmed += 1
        self.readings_confirmed += readings

    def as_dict(self) -> dict[str, object]:
        """The device's entry of the schema."""
        return {
            "driver": self.driver,
            "transport": self.transport,
            "guarantee": "at_least_once" if self.transport == "mqtt" else "at_most_once",
            "frames_sent": self.frames_sent,
            "frames_confirmed": self.frames_confirmed,
            "readings_sent": self.readings_sent,
            "readings_confirmed": self.readings_confirmed,
        }


class Truth:
    """Collects the truth of one run."""

    def __init__(self, scenario: str, seed: int, clock: ScaledClock) -> None:
        self.devices: dict[str, DeviceTruth] = {}
        self._scenario, self._seed, self._clock = scenario, seed, clock
        self._slots: dict[tuple[str, str, int], dict[int, int]] = defaultdict(dict)
        self._faults: list[dict[str, object]] = []

    def emitted(self, emission: Emission) -> None:
        """A device has measured and sent; its windows know it from now on."""
        device = self.devices[emission.device]
        device.sent(len(emission.readings))
        if not device.stamps:
            return
        start_ms = emission.event_ms - emission.event_ms % _WINDOW_MS
        slot = (emission.event_ms - start_ms) // device.cadence_ms
        for name, value in emission.readings:
            entry = quantity(name)
            if entry.summarise is Summarise.MEAN:
                self._slots[emission.device, name, start_ms][slot] = entry.to_ticks(value)

    def fault(self, name: str, at_ms: int, until_ms: int) -> None:
        """A fault took place, from and until these moments of simulated time."""
        self._faults.append({"name": name, "at_ms": at_ms, "until_ms": until_ms})

    def document(self) -> Mapping[str, object]:
        """The truth so far, in its schema."""
        return {
            "schema": SCHEMA,
            "scenario": self._scenario,
            "seed": self._seed,
            "clock": [self._clock.origin_ms, self._clock.started_ms, self._clock.speed],
            "devices": {name: device.as_dict() for name, device in self.devices.items()},
            "windows": [
                {
                    "device": device,
                    "quantity": name,
                    "channel": "",
                    "start_ms": start_ms,
                    "window_s": WINDOW_S,
                    "sum_ticks": sum(slots.values()),
                    "n": len(slots),
                    "expected": _WINDOW_MS // self.devices[device].cadence_ms,
                }
                for (device, name, start_ms), slots in sorted(self._slots.items())
            ],
            "faults": self._faults,
        }


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON file so that a reader sees all of it or nothing; readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
