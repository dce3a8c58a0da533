"""The light of a room: good, watch or act, by the CO2 of the last full five minutes, in timetable hours alone.

It changes at whole five minutes, whenever somebody looks, and holds nothing but the present step's states. It reads
what the open windows hold anyway: admission and journal know nothing of it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from telemetry import quantity
from telemetry.air import AIR_ACT_PPM, AIR_QUANTITY, AIR_WATCH_PPM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edge_agent.admission import Binding
    from edge_agent.open_windows import OpenWindows
    from edge_agent.timetable import Timetable
    from edge_agent.windows import Cadence, SeriesWindows

STEP_MS: Final = 300_000


class State(enum.StrEnum):
    """What a room's page shows."""

    GOOD = "good"
    WATCH = "watch"
    ACT = "act"
    UNKNOWN = "unknown"
    """No sensor has told anything."""
    CLOSED = "closed"
    """Outside timetable hours."""


class Lights:
    """The lights of the rooms whose CO2 is measured."""

    def __init__(self, bindings: Iterable[Binding], indoor: Iterable[str], windows: Callable[[], OpenWindows]) -> None:
        """`windows` gives the agent's; it is called on the loop, and what it gives is only read."""
        self._windows = windows
        rooms = set(indoor)
        self._sensors = {
            binding.device: binding for binding in bindings if binding.room in rooms and AIR_QUANTITY in binding.rules
        }
        self._step = -1
        self._ticks: Mapping[str, int] = {}

    @property
    def rooms(self) -> frozenset[str]:
        """Those that have one."""
        return frozenset(binding.room for binding in self._sensors.values())

    def look(self, now_ms: int) -> None:
        """Take over what the last full step was, once it is over."""
        step = now_ms // STEP_MS
        if step != self._step:
            self._step = step
            self._ticks = self._read((step - 1) * STEP_MS, step * STEP_MS)

    def state(self, room: str, now_ms: int, timetable: Timetable) -> State:
        """What a room shows at this moment: the same for a whole step."""
        self.look(now_ms)
        begin_ms = self._step * STEP_MS
        if not timetable.covers(begin_ms - STEP_MS, begin_ms + STEP_MS):
            return State.CLOSED
        ticks = self._ticks.get(room)
        return State.UNKNOWN if ticks is None else judge(ticks)

    def _read(self, begin_ms: int, end_ms: int) -> dict[str, int]:
        """The CO2 of each room over a time; of several sensors, the one that asks for more."""
        found: dict[str, int] = {}
        for (device, _, name), series in self._windows().series.items():
            binding = self._sensors.get(device)
            if name != AIR_QUANTITY or binding is None:
                continue
            ticks = level(series, begin_ms, end_ms, binding.cadence)
            if ticks is not None:
                found[binding.room] = max(ticks, found.get(binding.room, ticks))
        return found


def level(series: SeriesWindows, begin_ms: int, end_ms: int, cadence: Cadence) -> int | None:
    """The mean of the values of a time, else the last before it, for as long as the device may be silent."""
    held = [each for window in series.open.values() for each in window.slots if each.event_ms < end_ms]
    within = [each.ticks for each in held if each.event_ms >= begin_ms]
    if within:
        return sum(within) // len(within)
    if series.carried is not None:
        held.append(series.carried)
    last = max(held, default=None)
    if last is None or begin_ms - last.event_ms > cadence.stale_after_ms:
        return None
    return last.ticks


def judge(ticks: int) -> State:
    """What so much CO2 asks for."""
    entry = quantity(AIR_QUANTITY)
    if ticks > entry.to_ticks(AIR_ACT_PPM):
        return State.ACT
    return State.WATCH if ticks > entry.to_ticks(AIR_WATCH_PPM) else State.GOOD
