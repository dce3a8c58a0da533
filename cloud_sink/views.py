"""What the pages show of rooms, worst first, as plain data that templates only lay out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.alarms import AlarmKind, alarms
from cloud_sink.freshness import Air, Freshness
from cloud_sink.latest import MAIN, RoomNow
from telemetry import quantities, quantity
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloud_sink.catalogue import AgentRow, RoomRow, SchoolRow
    from cloud_sink.freshness import Judge
    from cloud_sink.memory import Memory
    from cloud_sink.quality import Suspect
    from cloud_sink.wording import Wording
    from telemetry import Summary

SHAPES: Final[Mapping[Freshness, str]] = {
    Freshness.FRESH: "●",
    Freshness.QUIET: "◌",
    Freshness.LATE: "◐",
    Freshness.STALE: "○",
    Freshness.NEVER: "✕",
}
AIR_SHAPES: Final[Mapping[Air, str]] = {
    Air.ACT: "▲",
    Air.WATCH: "△",
    Air.GOOD: "–",
    Air.QUIET: "",
    Air.UNKNOWN: "?",
    Air.NONE: "",
}
_BADNESS: Final[Mapping[Air, int]] = {
    Air.ACT: 3,
    Air.WATCH: 2,
    Air.UNKNOWN: 1,
    Air.QUIET: 0,
    Air.GOOD: 0,
    Air.NONE: 0,
}
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


@dataclass(slots=True)
class RoomStates:
    """How many rooms are in which state."""

    fresh: int = 0
    quiet: int = 0
    judged: int = 0
    """In which CO2 is measured, and told at this hour."""
    unknown: int = 0
    """Of those, the ones whose CO2 is too old to judge."""

    @classmethod
    def sum(cls, states: Iterable[RoomStates]) -> RoomStates:
        """Those of several schools together."""
        told = list(states)
        return cls(*(sum(getattr(each, name) for each in told) for name in ("fresh", "quiet", "judged", "unknown")))

    def add(self, state: Freshness, air: Air) -> None:
        """Count one room."""
        self.fresh += state is Freshness.FRESH
        self.quiet += state is Freshness.QUIET
        self.judged += air not in (Air.NONE, Air.QUIET)
        self.unknown += air is Air.UNKNOWN


class Viewer:
    """Turns what the centre remembers into views for one reader."""

    def __init__(self, wording: Wording, memory: Memory) -> None:
        self.wording = wording
        self.text = wording.text
        self.memory = memory

    def rooms(self, school: str, rows: Sequence[RoomRow]) -> list[RoomView]:
        """The rooms of a school, worst first."""
        held, judge = self.memory.latest.rooms(school), self.judge(school)
        views = (self.room(row, held.get(row.code, _EMPTY), judge) for row in rows)
        return sorted(views, key=lambda view: view.order)

    def judge(self, school: str) -> Judge:
        """Who judges a school's numbers at the moment that the page is of."""
        return self.memory.judge(school, self.wording.now_ms)

    def room(self, row: RoomRow, now: RoomNow, judge: Judge) -> RoomView:
        """A room, its freshness and its air."""
        state, judged = now.freshness(judge), now.air(judge)
        since_ms = self.bad_since(row, now) if judged is Air.ACT else None
        return RoomView(
            school=row.school,
            code=row.code,
            name=self.name(row),
            building=row.building,
            freshness=state,
            word=self.text(f"state.{state}"),
            air=judged,
            air_word="" if judged in (Air.NONE, Air.QUIET) else self.text(f"air.{judged}"),
            since_ms=since_ms,
            since="" if since_ms is None else self.wording.time(since_ms),
            main=now.main,
        )

    def bad_since(self, row: RoomRow, now: RoomNow) -> int:
        """Since when a room that needs air does."""
        co2 = now.main[AIR_QUANTITY]
        channel = (row.school, row.code, co2.series.device, co2.series.channel)
        return self.memory.episodes.since(channel, self.wording.now_ms) or co2.start_ms

    def cell(self, quantity_id: str, summary: Summary | None, judge: Judge) -> Cell:
        """One number, with all that is needed to trust it."""
        state = judge.freshness(summary)
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

    def cells(self, room: RoomView, judge: Judge) -> list[Cell]:
        """One cell for each main quantity that a room has."""
        return [self.cell(name, summary, judge) for name, summary in room.main.items()]

    def others(self, windows: Iterable[Summary], judge: Judge) -> list[Cell]:
        """Every number that is not a main one, in the vocabulary's order."""
        order = {entry.id: index for index, entry in enumerate(quantities())}
        rest = [summary for summary in windows if summary.series.quantity not in MAIN]
        rest.sort(key=lambda summary: (order[summary.series.quantity], device_name(summary)))
        return [self.cell(summary.series.quantity, summary, judge) for summary in rest]

    def headline(self, rooms: int, state: RoomStates, act: Sequence[RoomView]) -> str:
        """The page's question, answered in one line."""
        if not rooms:
            return self.text("rooms.none")
        due = rooms - state.quiet
        parts = [self.text.count("rooms.fresh", due, fresh=state.fresh)] if due else []
        if state.quiet:
            parts.append(self.text.count("rooms.quiet" if due else "rooms.quiet.all", state.quiet))
        return self._sentences(*parts, self.air_line(act, state))

    def room_line(self, room: RoomView, judge: Judge) -> str:
        """A room's question, answered in one line: its first main number, and its air."""
        cell = next(iter(self.cells(room, judge)), None)
        if cell is None:
            return self.text("room.never" if room.freshness is Freshness.NEVER else "room.silent", room=room.name)
        line = self.text(
            "room.line", room=room.name, quantity=cell.label, value=cell.value, time=cell.time, freshness=cell.word
        )
        if room.air is Air.ACT:
            return self._sentences(line, self.air_line([room], RoomStates()))
        return self._sentences(line, self.text("room.air", air=room.air_word) if room.air_word else "")

    def _sentences(self, *sentences: str) -> str:
        return ("" if self.text.short == "zh" else " ").join(filter(None, sentences))

    def air_line(self, act: Sequence[RoomView], state: RoomStates) -> str:
        """Which rooms need air, or that none does, or that it cannot be told; nothing where nothing is measured."""
        if act:
            first = sorted(act, key=lambda room: room.since_ms or 0)
            named = self.text("list.comma").join(room.name for room in first[:_NAMED])
            if len(act) > _NAMED:
                return self.text("air.need.many", n=len(act), rooms=named, time=first[0].since)
            return self.text.count("air.need", len(act), rooms=named, time=first[0].since)
        if not state.judged:
            return ""
        if state.unknown == state.judged and not state.quiet:
            return self.text("air.unknown.all")
        return self.text.count("air.unknown.some", state.unknown) if state.unknown else self.text("air.well")

    def alarms(self, school: SchoolRow, rows: Sequence[RoomRow], agents: Sequence[AgentRow]) -> list[str]:
        """What somebody has to act on, of these rooms and agents, the oldest first."""
        found = alarms(self.memory, school.code, agents, self.wording.now_ms)
        names = {row.code: self.name(row) for row in rows} if found else {}
        return [
            self.text(
                "alarm.since",
                what=quantity(alarm.quantity).label(self.text.short)
                if alarm.kind is AlarmKind.SAFETY
                else self.text(f"alarm.{alarm.kind}", agent=alarm.agent),
                where=" ".join(filter(None, (self.name(school), names.get(alarm.room, "")))),
                time=self.wording.time(alarm.since_ms),
            )
            for alarm in found
            if not alarm.room or alarm.room in names
        ]

    def suspicion(self, suspect: Suspect) -> str:
        """What speaks against a sensor, and since when."""
        label, since = quantity(suspect.quantity).label(self.text.short), self.wording.time(suspect.since_ms)
        return self.text(f"quality.{suspect.quality}", quantity=label, time=since)

    def name(self, row: SchoolRow | RoomRow) -> str:
        """A place's name in the reader's language; a room known by its code alone is written in capitals."""
        name = row.name_zh if self.text.short == "zh" else row.name_en
        return name.upper() if name == row.code else name


def device_name(summary: Summary) -> str:
    """A device, and its channel where it has several."""
    series = summary.series
    return f"{series.device}/{series.channel}" if series.channel else series.device
