"""The ground truth of a run: what was sent, what was confirmed, and what every window should say.

Schema 2, one JSON object; docs/testers.md describes every field. A reading is one vocabulary measurement that the
format's document says is in a frame.
At QoS 1 a frame is confirmed by its PUBACK; a serial or TCP frame is confirmed when the line has taken it, which
promises nothing: such devices are `at_most_once`, and an agent may have received fewer, never more.
`windows` hold quantities whose summary is a mean, of devices that stamp their own readings: the sum, in ticks, of
the last value in each cadence slot, and the number of slots filled; beside it, of what rooms have, the same sum as a
perfect sensor would have it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from telemetry import EnvironmentFault
from telemetry.quantities import Summarise
from telemetry.vocabulary import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from simulators.emissions import Emission
    from simulators.faults import Fault
    from simulators.scenarios import Scenario
    from telemetry import ScaledClock

SCHEMA: Final = 2
WINDOW_S: Final = 900
_WINDOW_MS: Final = WINDOW_S * 1000


class NotWritable(EnvironmentFault):
    """A file that the simulator has to write, and cannot."""

    code = "not_writable"


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
    frames_forgotten: int = 0
    """Lost with the device's power before they were confirmed: an agent may have them, or not."""

    def sent(self, readings: int) -> None:
        """A frame left the device."""
        self.frames_sent += 1
        self.readings_sent += readings

    def confirmed(self, readings: int) -> None:
        """A frame that left was confirmed."""
        self.frames_confirmed += 1
        self.readings_confirmed += readings

    def forgot(self) -> None:
        """The device lost its power: nothing that is not confirmed will be."""
        self.frames_forgotten = self.frames_sent - self.frames_confirmed

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
            "frames_forgotten": self.frames_forgotten,
        }


class _Slot(NamedTuple):
    """The last value of a cadence slot, and what a perfect sensor would have said, both in ticks."""

    ticks: int
    perfect: int | None


class Truth:
    """Collects the truth of one run."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        clock: ScaledClock,
        actual: Callable[[str, str], float | None] = lambda _device, _quantity: None,
    ) -> None:
        """`actual` says what a perfect sensor in a device's place would measure of a quantity now."""
        self.devices: dict[str, DeviceTruth] = {}
        self._scenario, self._seed, self._clock, self._actual = scenario, seed, clock, actual
        self._slots: dict[tuple[str, str, int], dict[int, _Slot]] = defaultdict(dict)
        self._faults: list[dict[str, object]] = []
        self._touches: Callable[[str, int, int], list[str]] = lambda _device, _start_ms, _end_ms: []

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
                actual = self._actual(emission.device, name)
                perfect = None if actual is None else entry.to_ticks(actual)
                self._slots[emission.device, name, start_ms][slot] = _Slot(entry.to_ticks(value), perfect)

    def afflicted(self, touches: Callable[[str, int, int], list[str]]) -> None:
        """`touches` says which faults happen to a device in a span of time."""
        self._touches = touches

    def fault(self, fault: Fault, at_ms: int, until_ms: int) -> None:
        """A fault took place, from and until these moments of simulated time."""
        named = {"name": fault.name, "attacks": fault.kind.attacks, "device": fault.device or None}
        self._faults.append({**named, "at_ms": at_ms, "until_ms": until_ms})

    def forgotten(self, device: str | None) -> None:
        """A device, or all that publish, lost what was not confirmed, with its power."""
        for name, truth in self.devices.items():
            if truth.transport == "mqtt" and device in (None, name):
                truth.forgot()

    def document(self) -> Mapping[str, object]:
        """The truth so far, in its schema."""
        return {
            "schema": SCHEMA,
            "scenario": self._scenario.name,
            "school": self._scenario.school,
            "seed": self._seed,
            "clock": [self._clock.origin_ms, self._clock.started_ms, self._clock.speed],
            "devices": {name: device.as_dict() for name, device in self.devices.items()},
            "windows": [self._window(*key, slots) for key, slots in sorted(self._slots.items(), key=itemgetter(0))],
            "faults": self._faults,
        }

    def _window(self, device: str, name: str, start_ms: int, slots: Mapping[int, _Slot]) -> dict[str, object]:
        perfect = [slot.perfect for slot in slots.values() if slot.perfect is not None]
        return {
            "device": device,
            "quantity": name,
            "channel": "",
            "start_ms": start_ms,
            "window_s": WINDOW_S,
            "sum_ticks": sum(slot.ticks for slot in slots.values()),
            "physics_sum_ticks": sum(perfect) if len(perfect) == len(slots) else None,
            "n": len(slots),
            "expected": _WINDOW_MS // self.devices[device].cadence_ms,
            "faults": self._touches(device, start_ms, start_ms + _WINDOW_MS),
        }


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON file so that a reader sees all of it or nothing; readable by its owner alone.

    Raises `NotWritable`.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    with _draft(path) as draft:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)


def check_writable(path: Path) -> None:
    """See that `write_json` could write there, and leave all as it is. Raises `NotWritable`."""
    if not path.absolute().parent.is_dir():
        raise NotWritable(f"there is no folder {path.absolute().parent}", where=str(path), fix="make the folder first")
    if path.is_dir():
        raise NotWritable("is a folder", where=str(path), fix="name a file")
    with _draft(path):
        pass


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            draft.touch(mode=0o600)
            yield draft
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable(
            f"cannot be written: {error.strerror}", where=str(path), fix="take a folder that this user may write"
        ) from None
