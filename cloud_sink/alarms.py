"""What somebody has to act on now: safety events without an all-clear, agents that are not heard or were copied."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloud_sink.catalogue import AgentRow
    from cloud_sink.memory import Memory

COPIED_MS: Final = 7 * 24 * 3600 * 1000
"""How long a copy that was noticed is an alarm."""


class AlarmKind(enum.StrEnum):
    """What is the matter."""

    SAFETY = "safety"
    AGENT_OFFLINE = "agent_offline"
    AGENT_COPIED = "agent_copied"
    """An agent told something else under a number that was told already: its database was put back from a copy, or two
    copies are at work. It tells no counts of people for a day of privacy time."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to act on; of a room and a quantity, or of an agent."""

    kind: AlarmKind
    school: str
    since_ms: int
    room: str = ""
    quantity: str = ""
    agent: str = ""


def alarms(memory: Memory, school: str, agents: Iterable[AgentRow], now_ms: int) -> list[Alarm]:
    """The alarms of a school, the oldest first.

    That rooms are silent outside timetable hours is none. That an agent is silent always is: its reports are due at any
    hour. One that has never told anything is no alarm: nobody relies on it yet.
    """
    found = [
        Alarm(AlarmKind.SAFETY, school, event.start_ms, room=code, quantity=event.series.quantity)
        for code, room in memory.latest.rooms(school).items()
        for event in room.alarms
    ]
    for agent in agents:
        if agent.school != school:
            continue
        since_ms, copied_ms = _silent_since(memory, agent.id, now_ms), memory.copies.get(agent.id, 0)
        if since_ms is not None:
            found.append(Alarm(AlarmKind.AGENT_OFFLINE, school, since_ms, agent=agent.id))
        if copied_ms > now_ms - COPIED_MS:
            found.append(Alarm(AlarmKind.AGENT_COPIED, school, copied_ms, agent=agent.id))
    return sorted(found, key=lambda alarm: (alarm.since_ms, alarm.room, alarm.agent))


def _silent_since(memory: Memory, agent: str, now_ms: int) -> int | None:
    state, heard_ms = memory.hearing.freshness(agent, now_ms), memory.hearing.last(agent)
    if state is Freshness.STALE:
        return heard_ms
    report = memory.latest.reports.get(agent)  # of one that has been silent for longer than moments are kept
    return report.time_ms if state is Freshness.NEVER and report is not None else None
