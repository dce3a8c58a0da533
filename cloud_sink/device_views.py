"""The devices of a room: what state each is in, how old its last word is, and what it says of its own health."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Freshness
from cloud_sink.views import SHAPES
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloud_sink.catalogue import DeviceRow
    from cloud_sink.freshness import Judge
    from cloud_sink.views import Viewer
    from telemetry import Summary

_HEALTH: Final = ("battery", "link_quality", "fault")
_NAMED: Final = 4


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device, in words."""

    id: str
    agent: str
    freshness: Freshness
    word: str
    age: str
    time: str
    measures: str
    health: str

    @property
    def shape(self) -> str:
        """The sign of the freshness."""
        return SHAPES[self.freshness]


def device_views(
    viewer: Viewer, judge: Judge, devices: Sequence[DeviceRow], windows: Iterable[Summary]
) -> list[DeviceView]:
    """The devices of a room, silent ones first."""
    by_device = sorted(windows, key=lambda window: window.series.device)
    told = {device: list(some) for device, some in groupby(by_device, key=lambda window: window.series.device)}
    views = [_view(viewer, judge, device, told.get(device.id, [])) for device in devices]
    order = tuple(Freshness)
    return sorted(views, key=lambda view: (-order.index(view.freshness), view.id))


def _view(viewer: Viewer, judge: Judge, device: DeviceRow, windows: Sequence[Summary]) -> DeviceView:
    text, wording = viewer.text, viewer.wording
    newest = max(windows, key=lambda window: window.end_ms, default=None)
    state = judge.freshness(newest)
    labels = dict.fromkeys(quantity(window.series.quantity).label(text.short) for window in windows)
    named = text("list.comma").join(list(labels)[:_NAMED])
    health = [
        f"{quantity(window.series.quantity).label(text.short)} {wording.value(window)}"
        for name in _HEALTH
        for window in windows
        if window.series.quantity == name
    ]
    found = (viewer.memory.sensors.judge(window.series) for window in windows)
    health += [viewer.suspicion(suspect) for suspect in found if suspect is not None]
    minutes = 0 if newest is None else max(0, wording.now_ms - newest.end_ms) // 60_000
    return DeviceView(
        id=device.id,
        agent=device.agent,
        freshness=state,
        word=text(f"state.{state}"),
        age="" if newest is None else text("age", duration=wording.duration(minutes)),
        time="" if newest is None else wording.time(newest.start_ms),
        measures=named if len(labels) <= _NAMED else text("list.more", named=named, n=len(labels) - _NAMED),
        health=text("list.comma").join(health),
    )
