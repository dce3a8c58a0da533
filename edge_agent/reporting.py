"""What an agent says of itself: the balance of its readings, its buffer, its versions, in numbers alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from edge_agent.certificate_life import CertificateLife
from telemetry.uplink_contract import AgentReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.clock_trust import ClockTrust
    from edge_agent.counts import CountKey
    from edge_agent.room import Room
    from edge_agent.state import State
    from telemetry import Clock

_HOUR_MINUTES: Final = 60
_DAY_MINUTES: Final = 24 * 60
_OF_READINGS: Final = (
    "received",
    "admitted",
    "rejected",
    "duplicate",
    "summarised",
    "open",
    "late",
    "gap",
    "withheld",
    "restamped",
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core cannot know by itself."""

    version: int
    configuration_hash: int
    room: Room
    """How much the store may take."""
    clock_trust: ClockTrust
    certificate: CertificateLife = field(default_factory=CertificateLife)


def totals(counts: Mapping[CountKey, int]) -> dict[str, int]:
    """Counters summed over devices and reasons."""
    sums: dict[str, int] = {}
    for key, number in counts.items():
        sums[key.stage] = sums.get(key.stage, 0) + number
    return sums


@dataclass(frozen=True, slots=True)
class Rate:
    """How many summaries the agent has made since when: how fast its buffer would fill."""

    clock: Clock
    summaries_before: int
    since_s: float
    """By monotonic time: the clock may be set meanwhile."""

    def room_minutes(self, state: State, room: Room) -> int:
        """How long the store could take summaries at this rate; before there is one, a quarter hour a series."""
        made = totals(state.counts).get("summaries", 0) - self.summaries_before
        hours = self.clock.passed(self.clock.monotonic() - self.since_s) / 3_600_000
        an_hour = made / hours if made and hours > 0 else max(len(state.windows.series), 1) * 4
        return room.minutes(state.used_bytes, an_hour)


def as_told(report: AgentReport) -> AgentReport:
    """What of a report leaves the school: no count of readings, and the buffer's room to a power of two.

    Devices that send on change send when people move, and what is refused, repeated, late or misdated arrives then too:
    a count of it would say by night that somebody is there, and count people by day. A page of the store that they fill
    is an hour of a small school's room.
    """
    return replace(report, **dict.fromkeys(_OF_READINGS, 0), room_minutes=_coarse(report.room_minutes))


def _coarse(minutes: int) -> int:
    """The power of two below, in days, or in hours where there is no whole day."""
    unit = _DAY_MINUTES if minutes >= _DAY_MINUTES else _HOUR_MINUTES
    return (1 << (minutes // unit).bit_length() >> 1) * unit


def report_of(state: State, now_ms: int, surroundings: Surroundings, rate: Rate) -> AgentReport:
    """The report of this moment."""
    sums = totals(state.counts)
    unacknowledged = sum(batch.summaries for batch in state.unacknowledged.values())
    oldest_ms, hours = state.oldest_stored_ms(), state.timetable.hours(now_ms)
    return AgentReport(
        time_ms=now_ms,
        received=sums.get("received", 0),
        admitted=sums.get("admitted", 0),
        rejected=sums.get("rejected", 0),
        duplicate=sums.get("duplicate", 0),
        summarised=sums.get("summarised", 0),
        open=state.open_readings(),
        late=sums.get("late", 0),
        gap=sums.get("gap", 0),
        withheld=sums.get("withheld", 0),
        summaries=sums.get("summaries", 0),
        acknowledged=sums.get("acknowledged", 0),
        waiting=state.waiting + unacknowledged,
        merged=sums.get("merged", 0),
        fork=sums.get("fork", 0),
        refused=sums.get("refused", 0),
        stored_minutes=0 if oldest_ms is None else max(0, (now_ms - oldest_ms) // 60_000),
        room_minutes=rate.room_minutes(state, surroundings.room),
        clock_offset_ms=surroundings.clock_trust.offset_ms,
        version=surroundings.version,
        configuration_hash=surroundings.configuration_hash,
        certificate_days=surroundings.certificate.days(now_ms),
        damaged=sums.get("damaged", 0),
        restamped=sums.get("restamped", 0),
        clock_steps=sums.get("clock_steps", 0),
        hours_day=hours.day,
        hours=hours.hours,
        hours_next_ms=hours.next_ms,
    )
