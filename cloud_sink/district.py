"""The Overview: four figures with their day behind them, and the schools, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.agent_views import agent_view
from cloud_sink.freshness import Air
from cloud_sink.latest import RoomNow
from cloud_sink.sparklines import sparkline
from cloud_sink.tallies import STEP_MS
from cloud_sink.views import RoomStates, badness
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.agent_views import AgentView
    from cloud_sink.catalogue import AgentRow, RoomRow, SchoolRow
    from cloud_sink.views import RoomView, Viewer

_EMPTY: Final = RoomNow()


@dataclass(frozen=True, slots=True)
class SchoolLine:
    """A school in the list."""

    code: str
    name: str
    rooms: int
    state: RoomStates
    act: Sequence[RoomView]
    worst: RoomView | None
    worst_value: str
    agents: Sequence[AgentView]
    alarms: Sequence[str]

    @property
    def due(self) -> int:
        """How many rooms have something to tell at this hour."""
        return self.rooms - self.state.quiet

    @property
    def order(self) -> tuple[int, int, int, int, str]:
        """Sorts the worst first."""
        offline = sum(agent.is_offline for agent in self.agents)
        return -len(self.alarms), -len(self.act), -offline, self.state.fresh - self.due, self.code


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its label, what it is of, and its line since midnight."""

    id: str
    label: str
    value: str
    note: str
    state: str
    line: str


def school_line(
    viewer: Viewer, school: SchoolRow, rows: Sequence[RoomRow], agent_rows: Sequence[AgentRow]
) -> SchoolLine:
    """Judge every room of a school, and word only those that stand out: a district has thousands."""
    judge, held = viewer.judge(school.code), viewer.memory.latest.rooms(school.code)
    states = RoomStates()
    act: list[RoomView] = []
    worst: tuple[tuple[bool, int, int], RoomRow, RoomNow] | None = None
    for row in rows:
        now = held.get(row.code, _EMPTY)
        state, air = now.freshness(judge), now.air(judge)
        states.add(state, air)
        if air is Air.ACT:
            act.append(viewer.room(row, now, judge))
        bad = badness(state, air)
        if worst is None or bad > worst[0]:
            worst = bad, row, now
    shown = None if worst is None else viewer.room(worst[1], worst[2], judge)
    if act:
        shown = min(act, key=lambda room: -room.main[AIR_QUANTITY].fields["mean"])
    return SchoolLine(
        code=school.code,
        name=viewer.name(school),
        rooms=len(rows),
        state=states,
        act=act,
        worst=shown,
        worst_value="" if shown is None or not shown.main else viewer.wording.value(next(iter(shown.main.values()))),
        agents=[agent_view(row.id, viewer.wording, viewer.memory) for row in agent_rows],
        alarms=viewer.alarms(school, rows, agent_rows),
    )


def figures(viewer: Viewer, schools: Sequence[SchoolLine]) -> list[Figure]:
    """Rooms fresh, rooms in bad air, agents offline and open alerts, with their lines since midnight."""
    text, wording = viewer.text, viewer.wording
    rooms, due, fresh = sum(s.rooms for s in schools), sum(s.due for s in schools), sum(s.state.fresh for s in schools)
    act, alarms = sum(len(s.act) for s in schools), sum(len(s.alarms) for s in schools)
    agents = [agent for school in schools for agent in school.agents]
    offline = sum(agent.is_offline for agent in agents)
    midnight_ms = wording.day_span(wording.today)[0]
    tallied, was_bad = viewer.memory.tallies.history(midnight_ms, wording.now_ms)
    was_offline = [
        sum(viewer.memory.hearing.was_offline(agent.id, time_ms) for agent in agents)
        for time_ms in range(midnight_ms + STEP_MS, wording.now_ms, STEP_MS)
    ]
    codes = [school.code for school in schools if school.rooms]
    was_fresh = [
        None if viewer.memory.hours.are_outside(codes, midnight_ms + index * STEP_MS) else number
        for index, number in enumerate(tallied)
    ]
    share = text("share", p=f"{100 * fresh / due:.1f}") if due else text("worst.nothing")
    note = [text("figure.of", n=fresh, all=due)] if due else []
    if due < rooms:
        note.append(text("figure.quiet", n=rooms - due))
    return [
        Figure(
            "fresh", text("figure.fresh"), share, text("list.comma").join(note),
            "watch" if fresh < due else "", sparkline([*was_fresh, fresh if due else None], 0, rooms),
        ),
        Figure(
            "bad", text("figure.bad"), str(act), text("figure.of", n=act, all=sum(s.state.judged for s in schools)),
            "act" if act else "", sparkline([*was_bad, act], 0, max(1, *was_bad, act)),
        ),
        Figure(
            "offline", text("figure.offline"), str(offline), text("figure.of", n=offline, all=len(agents)),
            "act" if offline else "", sparkline([*was_offline, offline], 0, max(1, len(agents))),
        ),
        Figure("alerts", text("figure.alerts"), str(alarms), "", "act" if alarms else "", ""),
    ]  # fmt: skip
