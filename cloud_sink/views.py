"""What the pages show, worst first, as plain data that templates only lay out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import AIR_QUANTITY, Air, Freshness, air, freshness, worst
from telemetry import Summarise, quantities, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloud_sink.catalogue import RoomRow, SchoolRow
    from cloud_sink.wording import Wording
    from telemetry import Summary
    from telemetry.uplink_contract import AgentReport

MAIN: Final = (AIR_QUANTITY, "temperature", "humidity", "pm25", "sound_pressure", "illuminance")
SHAPES: Final[Mapping[Freshness, str]] = {
    Freshness.FRESH: "●",
    Freshness.LATE: "◐",
    Freshness.STALE: "○",
    Freshness.NEVER: "✕",
}
_BADNESS: Final[Mapping[Air, int]] = {Air.ACT: 3, Air.WATCH: 2, Air.UNKNOWN: 1, Air.GOOD: 0, Air.NONE: 0}
_FRESHNESS_ORDER: Final = tuple(Freshness)


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
    told: Mapping[str, Summary | None]
    """The last window of each main quantity, where there is one."""

    @property
    def shape(self) -> str:
        """The sign of the freshness."""
        return SHAPES[self.freshness]

    @property
    def badness(self) -> tuple[int, int, int, str, str]:
        """Sorts the worst first: who needs air, then who is silent, then whose air wants watching."""
        needs_air = self.air is Air.ACT
        return -needs_air, -_FRESHNESS_ORDER.index(self.freshness), -_BADNESS[self.air], self.building, self.code


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent's own report, in words."""

    id: str
    buffer: str
    clock: str
    report: str
    freshness: Freshness
    word: str

    @property
    def shape(self) -> str:
        """The sign of the freshness."""
        return SHAPES[self.freshness]


@dataclass(frozen=True, slots=True)
class SchoolView:
    """A school in a list."""

    code: str
    name: str
    rooms: Sequence[RoomView]
    agents: Sequence[AgentView]
    alarms: Sequence[str]

    @property
    def fresh(self) -> int:
        """How many rooms are fresh."""
        return sum(room.freshness is Freshness.FRESH for room in self.rooms)

    @property
    def act(self) -> Sequence[RoomView]:
        """The rooms that need air."""
        return [room for room in self.rooms if room.air is Air.ACT]

    @property
    def unfresh(self) -> Sequence[RoomView]:
        """The rooms whose numbers are not fresh."""
        return [room for room in self.rooms if room.freshness is not Freshness.FRESH]

    @property
    def badness(self) -> tuple[int, int, int, str]:
        """Sorts the worst first."""
        return -len(self.alarms), -len(self.act), -len(self.unfresh), self.code


REPORT_EVERY_MS: Final = 300_000


class Viewer:
    """Turns summaries into views for one reader."""

    def __init__(self, wording: Wording, since: Mapping[tuple[str, str, str, str], int]) -> None:
        self._wording = wording
        self._text = wording.text
        self._since = since

    def school(
        self, school: SchoolRow, rooms: Sequence[RoomRow], latest: Sequence[Summary], agents: Sequence[AgentView]
    ) -> SchoolView:
        """A school with its rooms, worst first."""
        by_room: dict[str, list[Summary]] = {room.code: [] for room in rooms}
        for summary in latest:
            by_room.setdefault(summary.series.room, []).append(summary)
        views = [self.room(room, by_room[room.code]) for room in rooms]
        names = {room.code: view.name for room, view in zip(rooms, views, strict=True)}
        return SchoolView(
            code=school.code,
            name=self.name(school),
            rooms=sorted(views, key=lambda view: view.badness),
            agents=agents,
            alarms=self._alarms(latest, self.name(school), names),
        )

    def room(self, room: RoomRow, latest: Sequence[Summary]) -> RoomView:
        """A room, its freshness and its air."""
        now_ms = self._wording.now_ms
        told = newest(latest)
        present = [summary for summary in told.values() if summary is not None] or list(latest)
        state = worst(freshness(summary, now_ms) for summary in present)
        co2 = told[AIR_QUANTITY]
        judged = air(co2, now_ms)
        since_ms = None
        if judged is Air.ACT and co2 is not None:
            key = (room.school, room.code, co2.series.device, co2.series.channel)
            since_ms = self._since.get(key, co2.start_ms)
        return RoomView(
            school=room.school,
            code=room.code,
            name=self.name(room),
            building=room.building,
            freshness=state,
            word=self._text(f"state.{state}"),
            air=judged,
            air_word="" if judged is Air.NONE else self._text(f"air.{judged}"),
            since_ms=since_ms,
            since="" if since_ms is None else self._wording.time(since_ms),
            told=told,
        )

    def cells(self, room: RoomView) -> list[Cell]:
        """One cell for each main quantity of a room."""
        return [self.cell(name, summary) for name, summary in room.told.items()]

    def cell(self, quantity_id: str, summary: Summary | None) -> Cell:
        """One number, with all that is needed to trust it."""
        state = freshness(summary, self._wording.now_ms)
        return Cell(
            quantity=quantity_id,
            label=quantity(quantity_id).label(self._text.short),
            device="" if summary is None else _device(summary),
            value=self._text("worst.nothing") if summary is None else self._wording.value(summary),
            time="" if summary is None else self._wording.time(summary.start_ms),
            window="" if summary is None else self._wording.window(summary.series.window_s),
            freshness=state,
            word=self._text(f"state.{state}"),
        )

    def others(self, latest: Iterable[Summary]) -> list[Cell]:
        """Every number of a room that is not a main one, in the vocabulary's order."""
        order = {entry.id: index for index, entry in enumerate(quantities())}
        rest = [summary for summary in latest if summary.series.quantity not in MAIN]
        rest.sort(key=lambda summary: (order[summary.series.quantity], _device(summary)))
        return [self.cell(summary.series.quantity, summary) for summary in rest]

    def agent(self, agent: str, report: AgentReport | None) -> AgentView:
        """An agent, as fresh as its last report."""
        text, wording = self._text, self._wording
        state, buffer, clock, told = Freshness.NEVER, text("buffer.none"), "", ""
        if report is not None:
            age = (wording.now_ms - report.time_ms) // REPORT_EVERY_MS
            state = Freshness.FRESH if age < 2 else Freshness.LATE if age < 10 else Freshness.STALE
            stored, room = wording.duration(report.stored_minutes), wording.duration(report.room_minutes)
            buffer = text("buffer", stored=stored, room=room)
            clock = text("seconds", s=report.clock_offset_ms / 1000)
            told = wording.time(report.time_ms)
        return AgentView(
            id=agent,
            buffer=buffer,
            clock=clock,
            report=told,
            freshness=state,
            word=text(f"state.{state}"),
        )

    def headline(self, schools: Sequence[SchoolView]) -> str:
        """The page's question, answered in one line."""
        rooms = [room for school in schools for room in school.rooms]
        if not rooms:
            return self._text("rooms.none")
        fresh = sum(school.fresh for school in schools)
        return f"{self._text.count('rooms.fresh', len(rooms), fresh=fresh)} {self._air_line(rooms)}"

    def room_line(self, room: RoomView) -> str:
        """A room's question, answered in one line: its first main number, and its air."""
        cell = next((cell for cell in self.cells(room) if cell.freshness is not Freshness.NEVER), None)
        if cell is None:
            return self._text("room.never" if room.freshness is Freshness.NEVER else "room.silent", room=room.name)
        line = self._text(
            "room.line", room=room.name, quantity=cell.label, value=cell.value, time=cell.time, freshness=cell.word
        )
        air_line = self._air_line([room]) if room.air is Air.ACT else self._text("room.air", air=room.air_word)
        return f"{line} {air_line}"

    def name(self, row: SchoolRow | RoomRow) -> str:
        """A place's name in the reader's language; a room known by its code alone is written in capitals."""
        name = row.name_zh if self._text.short == "zh" else row.name_en
        return name.upper() if name == row.code else name

    def _air_line(self, rooms: Sequence[RoomView]) -> str:
        act = sorted((room for room in rooms if room.since_ms is not None), key=lambda room: room.since_ms or 0)
        if act:
            named = ", ".join(room.name for room in act[:3]) + (" …" if len(act) > 3 else "")
            return self._text.count("air.need", len(act), rooms=named, time=act[0].since)
        measured = [room for room in rooms if room.air is not Air.NONE]
        unknown = sum(room.air is Air.UNKNOWN for room in measured)
        if unknown == len(measured):
            return self._text("air.unknown.all") if measured else ""
        return self._text.count("air.unknown.some", unknown) if unknown else self._text("air.well")

    def _alarms(self, latest: Iterable[Summary], school: str, names: Mapping[str, str]) -> list[str]:
        alarms = [
            s for s in latest if quantity(s.series.quantity).summarise is Summarise.EVENT and s.fields.get("last")
        ]
        alarms.sort(key=lambda summary: summary.start_ms)
        return [
            self._text(
                "alarm.since",
                what=quantity(alarm.series.quantity).label(self._text.short),
                where=f"{school} {names.get(alarm.series.room, alarm.series.room)}",
                time=self._wording.time(alarm.start_ms),
            )
            for alarm in alarms
        ]


def newest(latest: Iterable[Summary]) -> dict[str, Summary | None]:
    """Each main quantity's window: of several devices the one whose window ends last, then the highest."""
    told: dict[str, Summary | None] = dict.fromkeys(MAIN)
    for summary in latest:
        name = summary.series.quantity
        if name in told:
            held = told[name]
            if held is None or _rank(summary) > _rank(held):
                told[name] = summary
    return told


def _rank(summary: Summary) -> tuple[int, int, str]:
    return summary.end_ms, summary.fields.get("mean", 0), summary.series.device


def _device(summary: Summary) -> str:
    series = summary.series
    return f"{series.device}/{series.channel}" if series.channel else series.device
