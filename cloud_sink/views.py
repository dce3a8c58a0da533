"""What the pages show of rooms, worst first, as plain data that templates only lay out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Air, Freshness, freshness
from cloud_sink.latest import MAIN, RoomNow
from telemetry import quantities, quantity
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloud_sink.catalogue import RoomRow, SchoolRow
    from cloud_sink.memory import Memory
    from cloud_sink.wording import Wording
    from telemetry import Summary

SHAPES: Final[Mapping[Freshness, str]] = {
    Freshness.FRESH: "●",
    Freshness.LATE: "◐",
    Freshness.STALE: "○",
    Freshness.NEVER: "✕",
}
AIR_SHAPES: Final[Mapping[Air, str]] = {Air.ACT: "▲", Air.WATCH: "△", Air.GOOD: "–", Air.UNKNOWN: "?", Air.NONE: ""}
_BADNESS: Final[Mapping[Air, int]] = {Air.ACT: 3, Air.WATCH: 2, Air.UNKNOWN: 1, Air.GOOD: 0, Air.NONE: 0}
_FRESHNESS_ORDER: Final[Mapping[Freshness, int]] = {state: index for index, state in enumerate(Freshness)}
_NAMED: Final = 3
_EMPTY: Final = RoomNow()


def badness(state: Freshness, judged: Air) -> tuple[bool, int, int]:
    """Sorts rooms, the worst highest: who needs air, then who is silent, then whose air wants watching."""
    return judged is Air.ACT, _FRESHNESS_ORDER[state], _BADNESS[judged]


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with its window and its freshness; without a summary, the lack of one."""

    quantity: str
    label: str
    device: str
    value: str
    time: str
    window: str
    freshness: Freshness
    word: str

    @property
    def shape(self) -> str:
        """The sign of the freshness."""
        return SHAPES[self.freshness]


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room in a list."""

    school: str
    code: str
    name: str
    building: str
    freshness: Freshness
    word: str
    air: Air
    air_word: str
    since_ms: int | None
    since: str
    main: Mapping[str, Summary]
    """The last window of each main quantity it has."""

    @property
    def shape(self) -> str:
        """The sign of the freshness."""
        return SHAPES[self.freshness]

    @property
    def air_shape(self) -> str:
        """The sign of the air."""
        return AIR_SHAPES[self.air]

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """Sorts the worst first."""
        needs_air, silent, bad = badness(self.freshness, self.air)
        return not needs_air, -silent, -bad, self.code


class Viewer:
    """Turns what the centre remembers into views for one reader."""

    def __init__(self, wording: Wording, memory: Memory) -> None:
        self.wording = wording
        self.text = wording.text
        self.memory = memory

    def rooms(self, school: str, rows: Sequence[RoomRow]) -> list[RoomView]:
        """The rooms of a school, worst first."""
        held = self.memory.latest.rooms(school)
        return sorted((self.room(row, held.get(row.code, _EMPTY)) for row in rows), key=lambda view: view.order)

    def room(self, row: RoomRow, now: RoomNow) -> RoomView:
        """A room, its freshness and its air."""
        now_ms = self.wording.now_ms
        state, judged = now.freshness(now_ms), now.air(now_ms)
        since_ms = self.bad_since(row, now) if judged is Air.ACT else None
        return RoomView(
            school=row.school,
            code=row.code,
            name=self.name(row),
            building=row.building,
            freshness=state,
            word=self.text(f"state.{state}"),
            air=judged,
            air_word="" if judged is Air.NONE else self.text(f"air.{judged}"),
            since_ms=since_ms,
            since="" if since_ms is None else self.wording.time(since_ms),
            main=now.main,
        )

    def bad_since(self, row: RoomRow, now: RoomNow) -> int:
        """Since when a room that needs air does."""
        co2 = now.main[AIR_QUANTITY]
        channel = (row.school, row.code, co2.series.device, co2.series.channel)
        return self.memory.episodes.since(channel, self.wording.now_ms) or co2.start_ms

    def cell(self, quantity_id: str, summary: Summary | None) -> Cell:
        """One number, with all that is needed to trust it."""
        state = freshness(summary, self.wording.now_ms)
        return Cell(
            quantity=quantity_id,
            label=quantity(quantity_id).label(self.text.short),
            device="" if summary is None else device_name(summary),
            value=self.text("worst.nothing") if summary is None else self.wording.value(summary),
            time="" if summary is None else self.wording.time(summary.start_ms),
            window="" if summary is None else self.wording.window(summary.series.window_s),
            freshness=state,
            word=self.text(f"state.{state}"),
        )

    def cells(self, room: RoomView) -> list[Cell]:
        """One cell for each main quantity that a room has."""
        return [self.cell(name, summary) for name, summary in room.main.items()]

    def others(self, windows: Iterable[Summary]) -> list[Cell]:
        """Every number that is not a main one, in the vocabulary's order."""
        order = {entry.id: index for index, entry in enumerate(quantities())}
        rest = [summary for summary in windows if summary.series.quantity not in MAIN]
        rest.sort(key=lambda summary: (order[summary.series.quantity], device_name(summary)))
        return [self.cell(summary.series.quantity, summary) for summary in rest]

    def headline(self, rooms: int, fresh: int, act: Sequence[RoomView], unjudged: tuple[int, int]) -> str:
        """The page's question, answered in one line; `unjudged` is how many rooms of how many have old CO2."""
        if not rooms:
            return self.text("rooms.none")
        return self._sentences(self.text.count("rooms.fresh", rooms, fresh=fresh), self.air_line(act, *unjudged))

    def room_line(self, room: RoomView) -> str:
        """A room's question, answered in one line: its first main number, and its air."""
        cell = next(iter(self.cells(room)), None)
        if cell is None:
            return self.text("room.never" if room.freshness is Freshness.NEVER else "room.silent", room=room.name)
        line = self.text(
            "room.line", room=room.name, quantity=cell.label, value=cell.value, time=cell.time, freshness=cell.word
        )
        if room.air is Air.ACT:
            return self._sentences(line, self.air_line([room], 0, 1))
        return self._sentences(line, "" if room.air is Air.NONE else self.text("room.air", air=room.air_word))

    def _sentences(self, *sentences: str) -> str:
        return ("" if self.text.short == "zh" else " ").join(filter(None, sentences))

    def air_line(self, act: Sequence[RoomView], unknown: int, measured: int) -> str:
        """Which rooms need air, or that none does, or that it cannot be told; nothing where nothing is measured."""
        if act:
            first = sorted(act, key=lambda room: room.since_ms or 0)
            named = self.text("list.comma").join(room.name for room in first[:_NAMED])
            if len(act) > _NAMED:
                return self.text("air.need.many", n=len(act), rooms=named, time=first[0].since)
            return self.text.count("air.need", len(act), rooms=named, time=first[0].since)
        if unknown == measured:
            return self.text("air.unknown.all") if measured else ""
        return self.text.count("air.unknown.some", unknown) if unknown else self.text("air.well")

    def alarms(self, school: SchoolRow, rows: Sequence[RoomRow]) -> list[str]:
        """The safety alerts that no all-clear has ended, the oldest first."""
        held, names = self.memory.latest.rooms(school.code), {row.code: self.name(row) for row in rows}
        open_ones = [(code, event) for code, room in held.items() for event in room.alarms]
        open_ones.sort(key=lambda alarm: alarm[1].start_ms)
        return [
            self.text(
                "alarm.since",
                what=quantity(alarm.series.quantity).label(self.text.short),
                where=f"{self.name(school)} {names.get(code, code)}",
                time=self.wording.time(alarm.start_ms),
            )
            for code, alarm in open_ones
        ]

    def name(self, row: SchoolRow | RoomRow) -> str:
        """A place's name in the reader's language; a room known by its code alone is written in capitals."""
        name = row.name_zh if self.text.short == "zh" else row.name_en
        return name.upper() if name == row.code else name


def device_name(summary: Summary) -> str:
    """A device, and its channel where it has several."""
    series = summary.series
    return f"{series.device}/{series.channel}" if series.channel else series.device
