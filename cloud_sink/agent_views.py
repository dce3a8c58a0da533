"""What the pages show of agents: whether they are heard, and what they say of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_sink.freshness import Freshness
from cloud_sink.views import SHAPES

if TYPE_CHECKING:
    from cloud_sink.memory import Memory
    from cloud_sink.wording import Wording


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent, in words."""

    id: str
    freshness: Freshness
    word: str
    heard: str
    stored: str
    room: str
    clock: str
    version: str
    waiting: str
    has_report: bool

    @property
    def shape(self) -> str:
        """The sign of the freshness."""
        return SHAPES[self.freshness]

    @property
    def is_offline(self) -> bool:
        """Whether it has not been heard for too long, or never."""
        return self.freshness in (Freshness.STALE, Freshness.NEVER)


def agent_view(agent: str, wording: Wording, memory: Memory) -> AgentView:
    """An agent as the centre hears it, with the numbers of its last report."""
    text, nothing = wording.text, wording.text("worst.nothing")
    state, heard_ms = memory.hearing.freshness(agent, wording.now_ms), memory.hearing.last(agent)
    report = memory.latest.reports.get(agent)
    told = (nothing,) * 5
    if report is not None:
        told = (
            wording.duration(report.stored_minutes),
            wording.duration(report.room_minutes),
            wording.seconds(report.clock_offset_ms),
            f"{report.version // 10_000}.{report.version // 100 % 100}.{report.version % 100}",
            wording.grouped(report.waiting),
        )
    stored, room, clock, version, waiting = told
    return AgentView(
        id=agent,
        freshness=state,
        word=text(f"agent.{state}"),
        heard=nothing if heard_ms is None else wording.time(heard_ms),
        stored=stored,
        room=room,
        clock=clock,
        version=version,
        waiting=waiting,
        has_report=report is not None,
    )
