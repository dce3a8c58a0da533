"""From a frame to readings: whose it is, what the driver finds in it, and what of that may come in.

Default deny: a topic that no device has, a field that no driver declares, a value that no such sensor could
measure and a message that only repeats what was retained are rejected, each counted with its reason. What is
refused leaves a driver, a reason and a length; never a payload, never a topic.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from marshal import dumps
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias
from zlib import crc32

from msgspec import Struct

from device_drivers.channels import is_channel
from device_drivers.contract import REASONS, FrameRefused, Layout
from edge_agent.driver_guard import DriverBlocked, DriverGuard, Suspension
from edge_agent.lanes import Lane
from edge_agent.topic_index import TopicIndex
from edge_agent.transactions import Fitting, QuarantineEntry
from telemetry.spans import SHORTEST_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from device_drivers.contract import Decoded, Driver, Frame
    from edge_agent.events import Arrival
    from edge_agent.privacy.rules import Rule
    from edge_agent.programs import Program
    from edge_agent.windows import Cadence

_log = logging.getLogger(__name__)

UNKNOWN_DEVICE: Final = "unknown_device"
RETAINED: Final = "retained"
DRIVER_FAULT: Final = "driver_fault"
NO_READING: Final = "no_reading"
OUT_OF_RANGE: Final = "out_of_range"
UNDECLARED: Final = "undeclared"
NO_ROOM: Final = "no_room"

DRIVER_SUSPENDED: Final = "driver_suspended"

MOST_ROWS: Final = 1_000
"""In one frame; no device has measured so often since its last."""
MOST_LANES: Final = 64
"""Remembered of one device; one that sends more layouts has them worked out again."""
_MARSHAL_VERSION: Final = 2
"""The last that writes the same bytes for the same values, whoever else refers to them."""


@dataclass(slots=True, eq=False)
class Binding:
    """A device as the configuration binds it: its driver, its place in the school, and the rule of each quantity."""

    device: str
    building: str
    room: str
    driver_id: str
    driver: Driver
    cadence: Cadence
    rules: Mapping[str, Rule]
    channels: frozenset[str] = frozenset()
    """The words of its driver's channels."""
    lanes: dict[Layout, Lane] = field(default_factory=dict, repr=False)
    """Of the layouts that its driver has given so far."""
    renew: Callable[[], Driver] | None = None
    """Makes the driver anew, as the configuration says."""
    suspension: Suspension = field(default_factory=Suspension, repr=False)
    fitted: str = ""
    """The date on which this unit was fitted, if the configuration says it."""
    program: Program | None = None
    """What writes its readings, where that is a program."""

    @property
    def fitting(self) -> Fitting:
        """Where it is, and which unit it is."""
        return Fitting(f"{self.building}/{self.room}", self.fitted)

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

    def event_ms(self, stated_ms: int, received_ms: int) -> int:
        """The device's time if its clock can be believed, else the time of arrival."""
        if -self.behind_ms <= stated_ms - received_ms <= self.ahead_ms:
            return stated_ms
        return received_ms


AdmittedRow: TypeAlias = "tuple[Lane, tuple[float, ...], int]"
"""Values that may come in, all of them: their lane, and when they were measured."""


class Admitted(Struct, frozen=True, gc=False):
    """What became of one frame."""

    device: str
    mark: int
    """What a second copy of the message gives again, whatever the clock says then; 32 bits of what was decoded, never
    of the payload."""
    rows: Sequence[AdmittedRow] = ()
    rejected: Mapping[str, int] = MappingProxyType({})
    dropped: int = 0
    """Fields that no driver declares: not readings, but counted."""
    restamped: int = 0
    """Rows whose device stated a time that cannot be believed: they count as measured on arrival."""
    quarantine: QuarantineEntry | None = None

    @property
    def received(self) -> int:
        """Readings the frame held; a frame that gave none counts as one."""
        return sum(lane.width for lane, _, _ in self.rows) + sum(self.rejected.values())


class Admission:
    """Admits frames for the devices that are bound; keeps no state between frames but which drivers fail."""

    def __init__(
        self, bindings: Iterable[tuple[Binding, str]], tolerance: ClockTolerance, guard: DriverGuard | None = None
    ) -> None:
        """`bindings` come with the topic that a device publishes to, empty for one that does not publish."""
        self.guard = guard or DriverGuard()
        self.bindings: dict[str, Binding] = {}
        self._topics = TopicIndex()
        self._tolerance = tolerance
        self.believes_devices = True
        """Whether a device's clock can be compared with ours: not while ours cannot be believed."""
        self._failing: set[str] = set()
        self.notice: Callable[[Frame, int], None] = lambda _frame, _received_ms: None
        """Called with each message that is no device's, and when it came: it may announce one."""
        for binding, topic in bindings:
            self.bindings[binding.device] = binding
            if topic:
                self._topics.add(topic, binding)

    def admit(self, arrival: Arrival, device: str, received_ms: int) -> Admitted:
        """Understand one frame, and sort what it holds; `device` is empty where the topic tells whose it is.

        What a driver raises, or gives against its contract, stays with its device, and is said once.
        """
        frame = arrival.frame
        binding = self.bindings.get(device) if device else self._topics.find(frame.topic)
        if binding is None:
            self.notice(frame, received_ms)
            return _refused("", "", UNKNOWN_DEVICE, arrival)
        if binding.suspension.failures and binding.suspension.holds(received_ms):
            return _refused(binding.device, binding.driver_id, DRIVER_SUSPENDED, arrival)
        guard = self.guard
        guard.calls += 1
        guard.calling = True
        try:
            try:
                decoded = binding.driver.decode(frame)
            finally:  # before anything is called: what is ours must not be broken off
                guard.calling = False
            admitted = self._sort(decoded, binding, received_ms, arrival.retained)
        except DriverBlocked:
            self._suspend(binding, received_ms)
            return _refused(binding.device, binding.driver_id, DRIVER_FAULT, arrival)
        except FrameRefused as refusal:
            reason = refusal.reason if refusal.reason in REASONS else DRIVER_FAULT
            return _refused(binding.device, binding.driver_id, reason, arrival)
        except Exception as error:  # noqa: BLE001 - the boundary that keeps a vendor's mistake from the others
            if binding.device not in self._failing:
                self._failing.add(binding.device)
                _log.error("driver %s fails on device %s: %s", binding.driver_id, binding.device, type(error).__name__)
            return _refused(binding.device, binding.driver_id, DRIVER_FAULT, arrival)
        if self._failing and binding.device in self._failing:
            self._failing.discard(binding.device)
            binding.suspension.lift()
            _log.info("driver %s understands device %s again", binding.driver_id, binding.device)
        return admitted

    def device_at(self, topic: str) -> str:
        """The device that a topic belongs to; empty if it is none's."""
        binding = self._topics.find(topic)
        return binding.device if binding is not None else ""

    @property
    def suspended(self) -> int:
        """Devices whose drivers had to be broken off, and have not done well since."""
        return sum(binding.suspension.failures > 0 for binding in self.bindings.values())

    def leave_alone(self, binding: Binding, now_ms: int, wait_ms: int) -> None:
        """Call nothing of a device's driver for so long."""
        binding.suspension.rest(now_ms, wait_ms)
        self._failing.add(binding.device)

    def _suspend(self, binding: Binding, now_ms: int) -> None:
        """Leave a device alone whose driver did not come back."""
        wait_ms = binding.suspension.extend(now_ms)
        if binding.device not in self._failing:
            self._failing.add(binding.device)
            _log.error(
                "driver %s blocks on device %s: broken off, and left alone for %d s",
                binding.driver_id,
                binding.device,
                wait_ms // 1000,
            )

    def _sort(self, decoded: Decoded, binding: Binding, received_ms: int, is_retained: bool) -> Admitted:
        if len(decoded.rows) > MOST_ROWS:
            raise FrameRefused("too_many", f"more than {MOST_ROWS} rows in one frame")
        mark, rows, restamped = 0, [], 0
        rejected: dict[str, int] = {}
        for row in decoded.rows:
            layout, values, stated_ms = row.layout, row.values, row.event_ms
            lane = binding.lanes.get(layout) or _new_lane(binding, layout)
            mark = crc32(dumps((values, stated_ms), _MARSHAL_VERSION), mark ^ lane.mark)
            event_ms = received_ms
            if stated_ms is not None:
                event_ms = self._believed(index(stated_ms), received_ms)
                restamped += event_ms != stated_ms
            is_stale = is_retained and event_ms != stated_ms  # kept by a broker, since nobody knows when
            if lane.takes(values) and not is_stale:
                rows.append((lane, values, event_ms))
                continue
            narrower, kept = _sift(lane, values, rejected, is_stale=is_stale)
            if kept:
                rows.append((narrower, kept, event_ms))
        if not rows and not rejected:
            rejected[NO_READING] = 1
        return Admitted(binding.device, mark, rows, rejected, len(decoded.dropped), restamped)

    def _believed(self, stated_ms: int, received_ms: int) -> int:
        return self._tolerance.event_ms(stated_ms, received_ms) if self.believes_devices else received_ms


def _sift(
    lane: Lane, values: tuple[float, ...], rejected: dict[str, int], *, is_stale: bool
) -> tuple[Lane, tuple[float, ...]]:
    """Take out of a row what may not come in, and count it by its reason."""
    binding = lane.binding
    kept: list[tuple[tuple[str, str], float]] = []
    for (quantity, channel), value in zip(lane.layout.columns, values, strict=True):
        rule = binding.rules.get(quantity)
        if rule is None or not is_channel(channel, binding.channels):
            reason = UNDECLARED
        elif not rule.quantity.minimum <= value <= rule.quantity.maximum:  # false for NaN too
            reason = OUT_OF_RANGE
        elif is_stale:
            reason = RETAINED
        else:
            kept.append(((quantity, channel), value))
            continue
        rejected[reason] = rejected.get(reason, 0) + 1
    columns = Layout.of(tuple(column for column, _ in kept))
    return binding.lanes.get(columns) or _new_lane(binding, columns), tuple(value for _, value in kept)


def _new_lane(binding: Binding, layout: Layout) -> Lane:
    if len(binding.lanes) >= MOST_LANES:
        binding.lanes.clear()
    lane = binding.lanes[layout] = Lane(binding, layout)
    return lane


def _refused(device: str, driver: str, reason: str, arrival: Arrival) -> Admitted:
    entry = QuarantineEntry(driver, reason, len(arrival.frame.payload))
    mark = crc32(repr((device, reason, entry.length)).encode())
    return Admitted(device, mark, rejected={reason: 1}, quarantine=entry)
