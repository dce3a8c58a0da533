"""What faults do to single devices: to what they perceive, and to what they put on the wire.

Everything here follows from the time that a frame is due, never from the clock: one seed and the same faults give the
same bytes.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from simulators import zigbee
from simulators.faults import (
    BATTERY_DEATH,
    BAUD_MISMATCH,
    CLOCK_STEP,
    DEVICE_REPLACED,
    DRIFT,
    FIELD_RENAMED,
    HALF_FRAME,
    POWER_CUT,
    REORDER,
    SPIKE,
    STUCK,
    UNPLUG,
    Target,
)
from simulators.json_text import compact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simulators.devices import Devices
    from simulators.emissions import Emission
    from simulators.faults import Fault

DRIFT_PER_H: Final = 0.08
SPIKE_ERROR: Final = 0.9
STEP_MS: Final = 3_600_000
"""How far ahead a clock that is wrong goes."""
RENAMED: Final = "_v2"
"""What a new firmware adds to a field's name."""
_HOUR_MS: Final = 3_600_000
_STAMPS: Final = ("last_seen", "time")


class Afflictions:
    """The faults of single devices, of one run."""

    def __init__(self, faults: Sequence[Fault], devices: Devices) -> None:
        self._devices = devices
        self._of: dict[str, list[Fault]] = defaultdict(list)
        self._everybody = [fault for fault in faults if fault.name == POWER_CUT]
        self._done: set[Fault] = set()
        self._held: dict[str, Emission] = {}
        for fault in faults:
            if fault.kind.strikes is Target.DEVICE:
                self._of[fault.device].append(fault)

    def perceive(self, device: str, at_ms: int) -> None:
        """Set what the device perceives at that moment; to be called before it measures."""
        for fault in self._of.get(device, ()):
            if at_ms >= fault.at_ms:
                self._afflict(fault, at_ms)

    def _afflict(self, fault: Fault, at_ms: int) -> None:
        senses, is_on = self._devices.senses[fault.device], at_ms < fault.until_ms
        if fault.name == DRIFT:
            senses.error = DRIFT_PER_H * (at_ms - fault.at_ms) / _HOUR_MS if is_on else 0.0
        elif fault.name == BATTERY_DEATH:
            senses.most_battery = max(0.0, 100.0 * (fault.until_ms - at_ms) / (fault.until_ms - fault.at_ms))
        elif fault.name == SPIKE:
            senses.error = 0.0 if fault in self._done else SPIKE_ERROR
        elif fault.name == STUCK:
            if is_on and fault not in self._done:
                senses.hang()
            elif not is_on:
                senses.wake()
        elif fault.name == DEVICE_REPLACED and fault not in self._done:
            self._devices.replace(fault.device)
        self._done.add(fault)

    def pass_on(self, emission: Emission) -> Iterator[Emission]:
        """What the device puts on the wire in place of the frame: nothing, it, another, or one that was held back."""
        if self.is_silent(emission.device, emission.event_ms):
            return
        for fault in self._of.get(emission.device, ()):
            if fault.at_ms <= emission.event_ms and (fault.kind.length is None or emission.event_ms < fault.until_ms):
                emission = _CHANGES.get(fault.name, _unchanged)(emission)
        held = self._held.pop(emission.device, None)
        if held is None and self._is_reordered(emission):
            self._held[emission.device] = emission
            return
        yield emission
        if held is not None:
            yield held

    def rest(self) -> Iterator[Emission]:
        """What is still held back at the end."""
        yield from self._held.values()
        self._held.clear()

    def touches(self, device: str, start_ms: int, end_ms: int) -> list[str]:
        """The names of the faults that happen to a device in a span of time."""
        faults = (*self._everybody, *self._of.get(device, ()))
        return sorted({fault.name for fault in faults if fault.at_ms < end_ms and start_ms <= _last_ms(fault)})

    def afflicting(self, device: str, at_ms: int) -> frozenset[str]:
        """The names of a device's faults that last at that moment."""
        return frozenset(fault.name for fault in self._of.get(device, ()) if fault.at_ms <= at_ms < fault.until_ms)

    def is_silent(self, device: str, at_ms: int) -> bool:
        """Whether a device says nothing then: without power, pulled out, or its battery dead."""
        for fault in (*self._everybody, *self._of.get(device, ())):
            if fault.name in (POWER_CUT, UNPLUG) and fault.at_ms <= at_ms < fault.until_ms:
                return True
            if fault.name == BATTERY_DEATH and at_ms >= fault.until_ms:
                return True
        return False

    def _is_reordered(self, emission: Emission) -> bool:
        return any(
            fault.name == REORDER and fault.at_ms <= emission.event_ms < fault.until_ms
            for fault in self._of.get(emission.device, ())
        )


def _last_ms(fault: Fault) -> float:
    """Until when a fault may show."""
    is_for_good = fault.name in (BATTERY_DEATH, DEVICE_REPLACED, FIELD_RENAMED)
    return float("inf") if is_for_good else max(fault.until_ms, fault.at_ms + 900_000)


def heard_at(payload: bytes, ratio: float) -> bytes:
    """The bytes that a UART makes of `payload` when it listens at `ratio` times the speed it was sent at.

    8 data bits, low one first, between a start bit (0) and a stop bit (1); the line rests at 1. A byte without a stop
    bit is a framing error, which many adapters pass on as the byte they have.
    """
    line = [bit for byte in payload for bit in (0, *(byte >> place & 1 for place in range(8)), 1)] + [1] * 20
    samples = [line[min(len(line) - 1, int((place + 0.5) / ratio))] for place in range(int(len(line) * ratio))]
    heard, place = bytearray(), 0
    while place + 9 < len(samples):
        if samples[place]:
            place += 1
            continue
        heard.append(sum(samples[place + 1 + bit] << bit for bit in range(8)))
        place += 10
    return bytes(heard)


def _unchanged(emission: Emission) -> Emission:
    return emission


def _half(emission: Emission) -> Emission:
    payload = emission.payload[: len(emission.payload) // 2]
    return dataclasses.replace(emission, payload=payload, readings=())


def _at_wrong_speed(emission: Emission) -> Emission:
    return dataclasses.replace(emission, payload=heard_at(emission.payload, 0.5), readings=())


def _stepped(emission: Emission) -> Emission:
    fields = json.loads(emission.payload)
    for stamp in _STAMPS:
        if stamp in fields:
            fields[stamp] += STEP_MS
    return dataclasses.replace(emission, payload=compact(fields))


def _renamed(emission: Emission) -> Emission:
    fields = json.loads(emission.payload)
    old = next(name for name in fields if name in zigbee.QUANTITIES)
    renamed = {(name + RENAMED if name == old else name): value for name, value in fields.items()}
    readings = tuple(reading for reading in emission.readings if reading[0] != zigbee.QUANTITIES[old])
    return dataclasses.replace(emission, payload=compact(renamed), readings=readings)


_CHANGES: Final[dict[str, Callable[[Emission], Emission]]] = {
    HALF_FRAME: _half,
    BAUD_MISMATCH: _at_wrong_speed,
    CLOCK_STEP: _stepped,
    FIELD_RENAMED: _renamed,
}
