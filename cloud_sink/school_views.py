"""The School page: its rooms as small multiples by building, and the bad air of the day."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from cloud_sink.episodes import runs
from cloud_sink.freshness import Air
from cloud_sink.ranges import grid_lines
from cloud_sink.sparklines import level, sparkline
from cloud_sink.tallies import STEP_MS
from telemetry.air import AIR_ACT_PPM, AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloud_sink.freshness import Judge
    from cloud_sink.ranges import GridLine
    from cloud_sink.views import Cell, RoomView, Viewer
    from telemetry import Summary

_LEAST_PPM: Final = 400
_MOST_PPM: Final = 1800
_MOST_EPISODES: Final = 12
LIMIT_LEVEL: Final = level(AIR_ACT_PPM, _LEAST_PPM, _MOST_PPM)
"""Where the level at which air is asked for lies in a small multiple."""


@dataclass(frozen=True, slots=True)
class Multiple:
    """One room of the grid: its first number, and its CO2 since the first window of the day."""

    room: RoomView
    cell: Cell | None
    line: str

    @property
    def state(self) -> str:
        """What colours it: bad air first, then the freshness of its data."""
        return str(self.room.air) if self.room.air in (Air.ACT, Air.WATCH) else str(self.room.freshness)


@dataclass(frozen=True, slots=True)
class Building:
    """The rooms of one building, worst first."""

    code: str
    multiples: Sequence[Multiple]


@dataclass(frozen=True, slots=True)
class EpisodeView:
    """A span of bad air, in words."""

    room: str
    name: str
    time: str
    duration: str
    peak: str


@dataclass(frozen=True, slots=True)
class SensorView:
    """A sensor that seems broken, in words."""

    room: str
    name: str
    device: str
    words: str


def buildings(viewer: Viewer, judge: Judge, rooms: Sequence[RoomView], co2: Sequence[Summary]) -> list[Building]:
    """The grid; all lines of a school share their axes, and the building with the worst room comes first."""
    lines = _lines(viewer, co2)
    order = {code: index for index, code in reversed(list(enumerate(room.building for room in rooms)))}
    sorted_rooms = sorted(rooms, key=lambda room: (order[room.building], room.order))
    return [
        Building(
            code,
            [Multiple(room, next(iter(viewer.cells(room, judge)), None), lines.get(room.code, "")) for room in some],
        )
        for code, some in groupby(sorted_rooms, key=lambda room: room.building)
    ]


def episodes(viewer: Viewer, rooms: Sequence[RoomView], co2: Sequence[Summary]) -> tuple[list[EpisodeView], int]:
    """The longest spans of bad air of a day, and how many more there were."""
    names = {room.code: room.name for room in rooms}
    wording, found = viewer.wording, runs(co2)
    views = [
        EpisodeView(
            room=episode.room,
            name=names.get(episode.room, episode.room),
            time=wording.span(episode.from_ms, episode.to_ms),
            duration=wording.duration((episode.to_ms - episode.from_ms) // 60_000),
            peak=wording.ticks(AIR_QUANTITY, episode.peak),
        )
        for episode in found
    ]
    return views[:_MOST_EPISODES], max(0, len(views) - _MOST_EPISODES)


def sensors(viewer: Viewer, school: str, rooms: Sequence[RoomView]) -> list[SensorView]:
    """The sensors of a school that somebody should look at, room by room."""
    names = {room.code: room.name for room in rooms}
    return [
        SensorView(
            room=suspect.room,
            name=names[suspect.room],
            device=f"{suspect.device}/{suspect.channel}" if suspect.channel else suspect.device,
            words=viewer.suspicion(suspect),
        )
        for suspect in viewer.memory.sensors.suspects(school)
        if suspect.room in names
    ]


def _lines(viewer: Viewer, co2: Sequence[Summary]) -> Mapping[str, str]:
    if not co2:
        return {}
    from_ms = min(summary.start_ms for summary in co2)
    until_ms = max(viewer.wording.now_ms, from_ms + STEP_MS)
    until_ms = min(until_ms, viewer.wording.day_span(viewer.wording.local(from_ms).date())[1])
    told = {}
    for room, windows in groupby(co2, key=lambda summary: summary.series.room):
        lines = grid_lines(list(windows), from_ms, until_ms, STEP_MS // 1000)
        told[room] = sparkline(_highest(lines), _LEAST_PPM, _MOST_PPM)
    return told


def _highest(lines: Sequence[GridLine]) -> list[float | None]:
    """Of several devices in a room the highest counts, as it does for the room's air."""
    steps = zip(*(line.ticks for line in lines), strict=True)
    return [max((n for n in step if n is not None), default=None) for step in steps]
