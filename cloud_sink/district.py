"""The Overview: four figures with their day behind them, and the schools, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Air, Freshness
from cloud_sink.latest import RoomNow
from cloud_sink.sparklines import sparkline
from cloud_sink.tallies import STEP_MS
from cloud_sink.views import badness
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.agent_views import AgentView
    from cloud_sink.catalogue import RoomRow, SchoolRow
    from cloud_sink.views import RoomView, Viewer

_EMPTY: Final = RoomNow()


@dataclass(frozen=True, slots=True)
class SchoolLine:
    """A school in the list."""

    code: str
    name: str
    rooms: int
    fresh: int
    judged: int
    """Rooms in which CO2 is measured."""
    unknown: int
    """Rooms of those whose CO2 is too old to judge."""
    act: Sequence[RoomView]
    worst: RoomView | None
    worst_value: str
    agents: Sequence[AgentView]
    alarms: Sequence[str]

    @property
    def order(self) -> tuple[int, int, int, int, str]:
        """Sorts the worst first."""
        offline = sum(agent.is_offline for agent in self.agents)
        return -len(self.alarms), -len(self.act), -offline, self.fresh - self.rooms, self.code


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its label, what it is of, and its line since midnight."""

    id: str
    label: str
    value: str
    note: str
    state: str
    line: str


def school_line(viewer: Viewer, school: SchoolRow, rows: Sequence[RoomRow], agents: Sequence[AgentView]) -> SchoolLine:
    """Judge every room of a school, and word only those that stand out: a district has thousands."""
    now_ms, held = viewer.wording.now_ms, viewer.memory.latest.rooms(school.code)
    fresh = judged = unknown = 0
    act: list[RoomView] = []
    worst: tuple[tuple[bool, int, int], RoomRow, RoomNow] | None = None
    for row in rows:
        now = held.get(row.code, _EMPTY)
        state, air = now.freshness(now_ms), now.air(now_ms)
        fresh += state is Freshness.FRESH
        judged += air is not Air.NONE
        unknown += air is Air.UNKNOWN
        if air is Air.ACT:
            act.append(viewer.room(row, now))
        bad = badness(state, air)
        if worst is None or bad > worst[0]:
            worst = bad, row, now
    shown = None if worst is None else viewer.room(worst[1], worst[2])
    if act:
        shown = min(act, key=lambda room: -room.main[AIR_QUANTITY].fields["mean"])
    return SchoolLine(
        code=school.code,
        name=viewer.name(school),
        rooms=len(rows),
        fresh=fresh,
        judged=judged,
        unknown=unknown,
        act=act,
        worst=shown,
        worst_value="" if shown is None or not shown.main else viewer.wording.value(next(iter(shown.main.values()))),
        agents=agents,
        alarms=viewer.alarms(school, rows) if held else [],
    )


def figures(viewer: Viewer, schools: Sequence[SchoolLine]) -> list[Figure]:
    """Rooms fresh, rooms in bad air, agents offline and open alerts, with their lines since midnight."""
    text, wording = viewer.text, viewer.wording
    rooms, fresh = sum(s.rooms for s in schools), sum(s.fresh for s in schools)
    act, alarms = sum(len(s.act) for s in schools), sum(len(s.alarms) for s in schools)
    agents = [agent for school in schools for agent in school.agents]
    offline = sum(agent.is_offline for agent in agents)
    midnight_ms = wording.day_span(wording.today)[0]
    was_fresh, was_bad = viewer.memory.tallies.history(midnight_ms, wording.now_ms)
    was_offline = [
        sum(viewer.memory.hearing.was_offline(agent.id, time_ms) for agent in agents)
        for time_ms in range(midnight_ms + STEP_MS, wording.now_ms, STEP_MS)
    ]
    share = text("share", p=f"{100 * fresh / rooms:.1f}") if rooms else text("worst.nothing")
    return [
        Figure(
            "fresh", text("figure.fresh"), share, text("figure.of", n=fresh, all=rooms),
            "watch" if fresh < rooms else "", sparkline([*was_fresh, fresh], 0, rooms),
        ),
        Figure(
            "bad", text("figure.bad"), str(act), text("figure.of", n=act, all=sum(s.judged for s in schools)),
            "act" if act else "", sparkline([*was_bad, act], 0, max(1, *was_bad, act)),
        ),
        Figure(
            "offline", text("figure.offline"), str(offline), text("figure.of", n=offline, all=len(agents)),
            "act" if offline else "", sparkline([*was_offline, offline], 0, max(1, len(agents))),
        ),
        Figure("alerts", text("figure.alerts"), str(alarms), "", "act" if alarms else "", ""),
    ]  # fmt: skip
