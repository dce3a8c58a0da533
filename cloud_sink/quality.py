"""Which sensors seem to be broken, from what they told alone: for hours the same, or away from the air outdoors.

Two things are judged, of what is in the air of every room, and each against the other sensors of the school, since a
quiet room is no broken sensor:

- stuck: three hours of quarter-hour means without the least change, while most of the others moved. A CO2 sensor at
  the level of an empty room is not judged: a policy may round to 50 ppm, and empty rooms look the same for hours.
- offset: CO2 below the air outdoors for an hour, which no room has; or the lowest of the day 250 ppm above the middle
  of the others' lowest, three days on end. A policy tells nothing of the night, when all rooms come down to the same.

Windows are taken in order: one that comes late changes nothing here.
"""

from __future__ import annotations

import enum
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from telemetry import quantity
from telemetry.air import AIR_QUANTITY
from telemetry.spans import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from telemetry import Series, Summary

STUCK_QUARTERS: Final = 12
MOVES: Final[Mapping[str, float]] = {AIR_QUANTITY: 100.0, "temperature": 0.5, "humidity": 2.0, "pm25": 5.0}
"""What is judged, and the change, in its unit, by which a sensor counts as one that moves."""
_QUARTER_MS: Final = 900_000
_DAY_MS: Final = DAY_S * 1000
_FEWEST_PEERS: Final = 3
_EMPTY_ROOM_PPM: Final = 600
_OUTDOORS_PPM: Final = 380
"""The air outdoors has some 425 ppm (NOAA, 2025); a sensor may be off by 30, and a policy rounds."""
_BELOW_QUARTERS: Final = 4
_OFFSET_PPM: Final = 250
_OFFSET_DAYS: Final = 3
_QUARTERS_OF_A_DAY: Final = 12
"""What a day must have told at least for its lowest to count."""

_MOVE_TICKS: Final = {name: quantity(name).to_ticks(move) for name, move in MOVES.items()}
_KEPT_DAYS: Final[Mapping[str, int]] = {AIR_QUANTITY: 5}
"""How many days back to begin from, where it is not one: three school days are among them after a weekend."""

Channel = tuple[str, str, str]
"""Room, device, channel."""


class Quality(enum.StrEnum):
    """What a series seems worth, by what it told."""

    GOOD = "good"
    """Nothing speaks against it; or it is not judged."""
    STUCK = "stuck"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A sensor that somebody should look at."""

    quality: Quality
    room: str
    device: str
    channel: str
    quantity: str
    since_ms: int


def kept_from(quantity_id: str, now_ms: int) -> int:
    """From where on windows have to be noted before those that come."""
    return now_ms - _KEPT_DAYS.get(quantity_id, 1) * _DAY_MS


@dataclass(slots=True)
class _Day:
    lowest: int
    quarters: int = 1


@dataclass(slots=True)
class _Track:
    """What is remembered of one channel."""

    last_ms: int
    value: int
    since_ms: int
    """When it began to say what it says."""
    reference: int
    moved_ms: int = 0
    """When it last was a move away from the reference, which then became its value."""
    quarters: int = 1
    """How many quarter hours it has said the same."""
    below_ms: int = 0
    below: int = 0
    """Since when it is below the air outdoors, and for how many quarter hours."""
    days: dict[int, _Day] = field(default_factory=dict)
    """Of CO2, the last days that it told of."""

    def take(self, start_ms: int, mean: int, move: int) -> None:
        is_next = start_ms // _QUARTER_MS > self.last_ms // _QUARTER_MS
        self.last_ms = start_ms
        if mean == self.value:
            self.quarters += is_next
        else:
            self.value, self.since_ms, self.quarters = mean, start_ms, 1
        if abs(mean - self.reference) >= move:
            self.reference, self.moved_ms = mean, start_ms

    def take_level(self, start_ms: int, ppm: int) -> None:
        """Note how CO2 lies to the air outdoors and to the rest of its day; to be called before `take`."""
        is_next = start_ms // _QUARTER_MS > self.last_ms // _QUARTER_MS
        if ppm >= _OUTDOORS_PPM:
            self.below = 0
        elif self.below:
            self.below += is_next
        else:
            self.below_ms, self.below = start_ms, 1
        number = start_ms // _DAY_MS
        if number in self.days:
            day = self.days[number]
            day.lowest = min(day.lowest, ppm)
            day.quarters += is_next
            return
        self.days[number] = _Day(ppm)
        if len(self.days) > _OFFSET_DAYS:
            del self.days[min(self.days)]


class Sensors:
    """Judges the sensors of every school, as their windows come."""

    def __init__(self) -> None:
        self._tracks: dict[tuple[str, str], dict[Channel, _Track]] = {}

    def take(self, summaries: Iterable[Summary]) -> None:
        """Note what windows say."""
        for summary in summaries:
            series = summary.series
            if series.quantity in MOVES and "mean" in summary.fields:
                channel = (series.room, series.device, series.channel)
                self.note(series.school, series.quantity, channel, summary.start_ms, summary.fields["mean"])

    def note(self, school: str, quantity_id: str, channel: Channel, start_ms: int, mean: int) -> None:
        """Note one window of a channel."""
        tracks = self._tracks.setdefault((school, quantity_id), {})
        track = tracks.get(channel)
        if track is None:
            track = tracks[channel] = _Track(start_ms - 1, mean, start_ms, mean, quarters=0)
        elif start_ms <= track.last_ms:
            return
        if quantity_id == AIR_QUANTITY:
            track.take_level(start_ms, mean)
        track.take(start_ms, mean, _MOVE_TICKS[quantity_id])

    def judge(self, series: Series) -> Suspect | None:
        """What speaks against a series, if anything does."""
        tracks = self._tracks.get((series.school, series.quantity), {})
        return _judge(series.quantity, (series.room, series.device, series.channel), tracks)

    def suspects(self, school: str) -> list[Suspect]:
        """The sensors of a school that somebody should look at, by room."""
        found = (
            _judge(name, channel, tracks)
            for name in MOVES
            for tracks in (self._tracks.get((school, name), {}),)
            for channel in tracks
        )
        return sorted(filter(None, found), key=lambda suspect: (suspect.room, suspect.device, suspect.quantity))


def _judge(name: str, channel: Channel, tracks: Mapping[Channel, _Track]) -> Suspect | None:
    track = tracks.get(channel)
    if track is None:
        return None
    peers = [peer for other, peer in tracks.items() if other[1] != channel[1] and _is_told(peer, track)]
    if not _is_told(track, max(peers, key=lambda peer: peer.last_ms, default=track)):
        return None
    if _is_stuck(name, track, peers):
        return Suspect(Quality.STUCK, *channel, name, track.since_ms)
    since_ms = _offset_since(track, peers)
    return None if since_ms is None else Suspect(Quality.OFFSET, *channel, name, since_ms)


def _is_told(track: _Track, other: _Track) -> bool:
    """Whether it tells still, or as long as another did: what has fallen silent is stale, and not judged."""
    return track.last_ms > other.last_ms - _DAY_MS


def _is_stuck(name: str, track: _Track, peers: Sequence[_Track]) -> bool:
    if track.quarters < STUCK_QUARTERS or (name == AIR_QUANTITY and track.value < _EMPTY_ROOM_PPM):
        return False
    return len(peers) >= _FEWEST_PEERS and 2 * sum(peer.moved_ms > track.since_ms for peer in peers) > len(peers)


def _offset_since(track: _Track, peers: Sequence[_Track]) -> int | None:
    """Since when it is away from the air outdoors; None where it is not."""
    if track.below >= _BELOW_QUARTERS:
        return track.below_ms
    lowest = min((day.lowest for day in track.days.values()), default=0)
    if len(track.days) < _OFFSET_DAYS or lowest <= _OUTDOORS_PPM + _OFFSET_PPM:
        return None  # however low the others come, it is not that far above them
    if not all(_is_above(number, track, peers) for number in track.days):
        return None
    return min(track.days) * _DAY_MS


def _is_above(number: int, track: _Track, peers: Sequence[_Track]) -> bool:
    """Whether the lowest of that day is far above the middle of the others' lowest."""
    told = [
        day.lowest for day in (peer.days.get(number) for peer in peers) if day and day.quarters >= _QUARTERS_OF_A_DAY
    ]
    day = track.days[number]
    if day.quarters < _QUARTERS_OF_A_DAY or len(told) < _FEWEST_PEERS:
        return False
    return day.lowest - statistics.median(told) > _OFFSET_PPM
