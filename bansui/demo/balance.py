"""The balance of a day: what devices sent, what the agent has of it, what the centre has of that. Pure; no tolerance.

`lost` and `doubled` are counted in readings, device by device, for devices that repeat a message until it is confirmed.
Devices that say everything once (serial lines, polled projectors) may be heard less often than they spoke, never more.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bansui.demo.windows import TruthWindows, WindowsBalance
    from edge_agent.store.audit import Audit
    from telemetry import Summary

FEWEST_READINGS: Final = 10_000
FEWEST_SUMMARIES: Final = 200
WINDOW_MS: Final = 900_000
SHORTEST_OUTAGE_MS: Final = 3 * WINDOW_MS
UPLINK_OUTAGE: Final = "uplink-outage"
AGENT_KILL: Final = "agent-kill"


@dataclass(slots=True)
class ReadingsBalance:
    """Readings, from the devices to the agent."""

    sent: int = 0
    """By devices that repeat until confirmed."""
    confirmed: int = 0
    counted: int = 0
    """Of these, taken in by the agent once: received less duplicates less rejected."""
    duplicates: int = 0
    lost: int = 0
    doubled: int = 0
    said_once: int = 0
    """By devices that say everything once."""
    heard_once: int = 0
    invented: int = 0
    """Heard more often than said, or of a device that is not there."""


@dataclass(slots=True)
class SummariesBalance:
    """Summaries, from the agent to the centre."""

    acknowledged: int = 0
    """By the agent's word."""
    stored: int = 0
    """By the centre's count."""
    exported: int = 0
    repeated: int = 0
    """A series and a time that the centre tells of more than once."""
    waiting: int = 0


@dataclass(slots=True)
class FaultsBalance:
    """What was done to the school on the way."""

    outages: int = 0
    shortest_outage_ms: int = 0
    kills: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """The whole of it."""

    readings: ReadingsBalance
    windows: WindowsBalance
    summaries: SummariesBalance
    faults: FaultsBalance
    agent: Mapping[str, int]
    """The agent's own balance, in readings and summaries."""
    agent_faults: Sequence[str] = field(default_factory=tuple)

    @property
    def failures(self) -> list[str]:
        """The names of the conditions that do not hold."""
        readings, windows, summaries, faults = self.readings, self.windows, self.summaries, self.faults
        conditions = {
            "lost": readings.lost == 0,
            "doubled": readings.doubled == 0,
            "unconfirmed": readings.confirmed == readings.sent,
            "invented": readings.invented == 0,
            "agent_balance": not self.agent_faults,
            "mismatched": windows.mismatched == 0,
            "missing": windows.missing == 0 and windows.compared > 0,
            "summaries": summaries.acknowledged == summaries.stored == summaries.exported,
            "repeated": summaries.repeated == 0,
            "waiting": summaries.waiting == 0,
            "few_readings": readings.counted + readings.heard_once >= FEWEST_READINGS,
            "few_summaries": summaries.stored >= FEWEST_SUMMARIES,
            "short_outage": faults.outages > 0 and faults.shortest_outage_ms >= SHORTEST_OUTAGE_MS,
            "no_kill": faults.kills > 0,
        }
        return [name for name, holds in conditions.items() if not holds]

    def as_dict(self) -> dict[str, object]:
        """The balance as `--json` prints it."""
        return {
            "closes": not self.failures,
            "failures": self.failures,
            "readings": dataclasses.asdict(self.readings),
            "windows": dataclasses.asdict(self.windows),
            "summaries": dataclasses.asdict(self.summaries),
            "faults": dataclasses.asdict(self.faults),
            "agent": {**self.agent, "faults": list(self.agent_faults)},
        }


def draw_up(
    truth: Mapping[str, Any], windows: TruthWindows, audit: Audit, exported: Sequence[Summary], stored: int
) -> Balance:
    """The balance of what the simulator, the agent and the centre say; `stored` is the centre's own count."""
    return Balance(
        readings=_readings(truth["devices"], audit.devices),
        windows=windows.compare(exported),
        summaries=_summaries(audit.balance, exported, stored),
        faults=_faults(truth["faults"]),
        agent=audit.balance,
        agent_faults=tuple(audit.faults),
    )


def _readings(sent: Mapping[str, Mapping[str, Any]], heard: Mapping[str, Mapping[str, int]]) -> ReadingsBalance:
    balance = ReadingsBalance()
    balance.invented = sum(of_device.get("received", 0) for device, of_device in heard.items() if device not in sent)
    for device, truth in sent.items():
        counts = heard.get(device, {})
        once = counts.get("received", 0) - counts.get("duplicate", 0) - counts.get("rejected", 0)
        if truth["guarantee"] == "at_least_once":
            balance.sent += truth["readings_sent"]
            balance.confirmed += truth["readings_confirmed"]
            balance.counted += once
            balance.duplicates += counts.get("duplicate", 0)
            balance.lost += max(0, truth["readings_sent"] - once)
            balance.doubled += max(0, once - truth["readings_sent"])
        else:
            balance.said_once += truth["readings_sent"]
            balance.heard_once += once
            balance.invented += max(0, once - truth["readings_sent"])
    return balance


def _summaries(agent: Mapping[str, int], exported: Sequence[Summary], stored: int) -> SummariesBalance:
    told = Counter((summary.series, summary.start_ms) for summary in exported)
    return SummariesBalance(
        acknowledged=agent["acknowledged"],
        stored=stored,
        exported=len(exported),
        repeated=sum(number - 1 for number in told.values()),
        waiting=agent["waiting"],
    )


def _faults(faults: Iterable[Mapping[str, Any]]) -> FaultsBalance:
    outages = [fault["until_ms"] - fault["at_ms"] for fault in faults if fault["name"] == UPLINK_OUTAGE]
    return FaultsBalance(
        outages=len(outages),
        shortest_outage_ms=min(outages, default=0),
        kills=sum(fault["name"] == AGENT_KILL for fault in faults),
    )
