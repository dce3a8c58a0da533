"""What somebody has to act on now: safety events without an all-clear, agents that are not heard, whose clock is ahead,
or that were copied, and of the centre's own a clock that is ahead and a certificate that ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Freshness, believed_until
from telemetry.spans import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloud_sink.catalogue import AgentRow
    from cloud_sink.memory import Memory

_DAY_MS: Final = DAY_S * 1000
COPIED_MS: Final = 7 * _DAY_MS
"""How long a copy that was noticed is an alarm."""

CERTIFICATE_DAYS: Final = 14
"""How near its end a certificate is an alarm: those renewed by themselves are, with a month left."""


class AlarmKind(enum.StrEnum):
    """What is the matter."""

    SAFETY = "safety"
    AGENT_OFFLINE = "agent_offline"
    AGENT_CLOCK = "agent_clock"
    """An agent's clock is ahead of the centre's: what it tells of times to come is kept and not shown as of now."""
    CENTRE_CLOCK = "centre_clock"
    """The centre's clock is ahead of all that agents told, or all are silent: nothing is deleted by it."""
    CERTIFICATE = "certificate"
    """The centre's own certificate ends within days, as an agent sees it: from then on no agent delivers."""
    AGENT_COPIED = "agent_copied"
    """An agent told something else under a number that was told already: its database was put back from a copy, or two
    copies are at work. It tells no counts of people for a day of privacy time."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to act on; of a room and a quantity, of an agent, or of the centre itself."""

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
    told_ms = memory.told_ms(now_ms)
    if told_ms is not None and memory.is_clock_ahead(now_ms):
        found.append(Alarm(AlarmKind.CENTRE_CLOCK, school, told_ms))
    for agent in agents:
        if agent.school != school:
            continue
        heard_ms, copied_ms = memory.hearing.last(agent.id), memory.copies.get(agent.id, 0)
        if heard_ms is not None and memory.hearing.freshness(agent.id, now_ms) is Freshness.STALE:
            found.append(Alarm(AlarmKind.AGENT_OFFLINE, school, heard_ms, agent=agent.id))
        report = memory.latest.reports.get(agent.id)
        if heard_ms is not None and report is not None and report.time_ms > believed_until(now_ms):
            found.append(Alarm(AlarmKind.AGENT_CLOCK, school, heard_ms, agent=agent.id))
        if report is not None and 0 <= report.certificate_days < CERTIFICATE_DAYS:
            said_ms = min(max(0, report.time_ms), now_ms)  # by whatever clock: a page shows the day
            day = said_ms // _DAY_MS - (CERTIFICATE_DAYS - 1 - report.certificate_days)
            found.append(Alarm(AlarmKind.CERTIFICATE, school, day * _DAY_MS, agent=agent.id))
        if copied_ms > now_ms - COPIED_MS:
            found.append(Alarm(AlarmKind.AGENT_COPIED, school, copied_ms, agent=agent.id))
    return sorted(found, key=lambda alarm: (alarm.since_ms, alarm.room, alarm.agent))
