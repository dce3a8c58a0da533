"""From a frame to readings: whose it is, what the driver finds in it, and what of that may come in.

Default deny: a topic that no device has, a field that no driver declares, a value that no such sensor could
measure and a message that only repeats what was retained are rejected, each counted with its reason. What is
refused leaves a driver, a reason and a length; never a payload, never a topic.
"""

from __future__ import annotations

import hashlib
import logging
import marshal
import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from device_drivers.contract import FrameRefused
from edge_agent.privacy.rules import SHORTEST_S, Rule
from edge_agent.transactions import QuarantineEntry
from telemetry import Reading, TimeSource
from telemetry.places import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from device_drivers.contract import Driver, Measurement
    from edge_agent.events import Arrival
    from edge_agent.windows import Cadence

_log = logging.getLogger(__name__)

UNKNOWN_DEVICE: Final = "unknown_device"
RETAINED: Final = "retained"
DRIVER_FAULT: Final = "driver_fault"
NO_READING: Final = "no_reading"
OUT_OF_RANGE: Final = "out_of_range"
UNDECLARED: Final = "undeclared"

_REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """A device as the configuration binds it: its driver, its place in the school, and the rule of each quantity."""

    device: str
    building: str
    room: str
    driver_id: str
    driver: Driver
    cadence: Cadence
    rules: Mapping[str, Rule]

    @property
    def summaries_an_hour(self) -> float:
        """How many summaries the device gives at most, each declared quantity on one channel."""
        told = [rule for rule in self.rules.values() if not (rule.is_withheld or rule.is_event)]
        return sum(3600 / SHORTEST_S[rule.span] for rule in told)


@dataclass(frozen=True, slots=True)
class ClockTolerance:
    """Which device clocks are believed."""

    ahead_ms: int
    behind_ms: int

    def event_time(self, stated_ms: int | None, received_ms: int) -> tuple[int, TimeSource]:
        """The device's time if its clock can be believed, else the time of arrival."""
        if stated_ms is not None and -self.behind_ms <= stated_ms - received_ms <= self.ahead_ms:
            return stated_ms, TimeSource.DEVICE
        return received_ms, TimeSource.ARRIVAL


@dataclass(slots=True)
class Admitted:
    """What became of one frame."""

    device: str
    digest: bytes
    """What a second copy of the message gives again, whatever the clock says then; never made of the payload."""
    readings: list[Reading] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    """Fields that no driver declares: not readings, but counted."""
    quarantine: QuarantineEntry | None = None

    @property
    def received(self) -> int:
        """Readings the frame held; a frame that gave none counts as one."""
        return len(self.readings) + sum(self.rejected.values())

    def reject(self, reason: str) -> None:
        """Count one reading that may not come in."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


class Admission:
    """Admits frames for the devices that are bound; keeps no state between frames but which drivers fail."""

    def __init__(self, bindings: Iterable[tuple[Binding, str]], tolerance: ClockTolerance) -> None:
        """`bindings` come with the topic that a device publishes to, empty for one that does not publish."""
        self.bindings: dict[str, Binding] = {}
        self._by_topic: dict[str, Binding] = {}
        self._by_prefix: list[tuple[str, Binding]] = []
        self._tolerance = tolerance
        self._failing: set[str] = set()
        for binding, topic in bindings:
            self.bindings[binding.device] = binding
            if topic.endswith("/#"):
                self._by_topic[topic[:-2]] = binding
                self._by_prefix.append((topic[:-1], binding))
            elif topic:
                self._by_topic[topic] = binding

    def admit(self, arrival: Arrival) -> Admitted:
        """Understand one frame, and sort what it holds."""
        binding = self.bindings.get(arrival.device) if arrival.device else self._bound_to(arrival.frame.topic)
        if binding is None:
            return self._refused("", "", UNKNOWN_DEVICE, arrival)
        try:
            admitted = self._understand(binding, arrival)
        except FrameRefused as refusal:
            reason = refusal.reason if _REASON.fullmatch(refusal.reason) else DRIVER_FAULT
            return self._refused(binding.device, binding.driver_id, reason, arrival)
        if not admitted.received:
            admitted.rejected[NO_READING] = 1
        return admitted

    def _bound_to(self, topic: str) -> Binding | None:
        binding = self._by_topic.get(topic)
        if binding is None:
            matches = [(len(prefix), bound) for prefix, bound in self._by_prefix if topic.startswith(prefix)]
            binding = max(matches, key=lambda match: match[0])[1] if matches else None
        return binding

    def _understand(self, binding: Binding, arrival: Arrival) -> Admitted:
        """Call the driver; what it raises, or gives against its contract, stays here, and is said once."""
        try:
            decoded = binding.driver.decode(arrival.frame)
            admitted = Admitted(
                binding.device, _digest(binding.device, decoded.measurements), [], {}, len(decoded.dropped)
            )
            self._sort(decoded.measurements, binding, arrival, admitted)
        except FrameRefused:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary that keeps a vendor's mistake from the others
            if binding.device not in self._failing:
                self._failing.add(binding.device)
                _log.error("driver %s fails on device %s: %s", binding.driver_id, binding.device, type(error).__name__)
            raise FrameRefused(DRIVER_FAULT, type(error).__name__) from None
        if binding.device in self._failing:
            self._failing.discard(binding.device)
            _log.info("driver %s understands device %s again", binding.driver_id, binding.device)
        return admitted

    def _sort(
        self, measurements: Iterable[Measurement], binding: Binding, arrival: Arrival, admitted: Admitted
    ) -> None:
        times: dict[int | None, tuple[int, TimeSource]] = {}
        for quantity_id, value, channel, stated_ms in measurements:
            rule = binding.rules.get(quantity_id)
            if rule is None or (channel and not CHANNEL.fullmatch(channel)):
                admitted.reject(UNDECLARED)
                continue
            entry = rule.quantity
            if not entry.minimum <= value <= entry.maximum:  # false for NaN too
                admitted.reject(OUT_OF_RANGE)
                continue
            if arrival.retained and stated_ms is None:
                admitted.reject(RETAINED)
                continue
            if stated_ms not in times:
                stated = None if stated_ms is None else operator.index(stated_ms)
                times[stated_ms] = self._tolerance.event_time(stated, arrival.received_ms)
            reading = Reading(binding.device, channel, quantity_id, entry.to_ticks(value), *times[stated_ms])
            admitted.readings.append(reading)

    def _refused(self, device: str, driver: str, reason: str, arrival: Arrival) -> Admitted:
        entry = QuarantineEntry(driver, reason, len(arrival.frame.payload))
        return Admitted(device, _digest(device, [(reason, entry.length)]), rejected={reason: 1}, quarantine=entry)


def _digest(device: str, content: Iterable[tuple[object, ...]]) -> bytes:
    """Version 2 of marshal writes the same bytes for the same values. Raises ValueError for what is no plain value."""
    return hashlib.blake2b(marshal.dumps((device, [tuple(row) for row in content]), 2), digest_size=16).digest()
