"""Faults, named after the invariant they attack: how they are written, and when they strike.

- `uplink-outage@T+D` attacks "nothing is lost while the centre cannot be reached, and nothing sent twice after";
- `agent-kill@T` attacks "acknowledged means on disk": SIGKILL, at any point between receive and acknowledge.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.pace import Pace
    from simulators.relay import Relay
    from simulators.scenarios import Scenario
    from simulators.truth import Truth

UPLINK_OUTAGE: Final = "uplink-outage"
AGENT_KILL: Final = "agent-kill"
_FORM: Final = re.compile(r"([a-z-]+)@((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:\+(.+))?")
_DURATION: Final = re.compile(r"(?:(\d{1,2})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?")
_PID: Final = re.compile(r"[1-9][0-9]*")
"""Never 0, nor a negative number: those mean whole groups of processes."""
_FORMS: Final = f"use {UPLINK_OUTAGE}@10:00+1h (or +30m, +1h30m, +90s) or {AGENT_KILL}@11:20"


class FaultMalformed(ConfigurationError):
    """A fault that cannot be read, or that this run cannot bring about."""

    code = "fault"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, in simulated time; `until_ms` is `at_ms` for one that has no length."""

    name: str
    at_ms: int
    until_ms: int


def parse(text: str, scenario: Scenario) -> Fault:
    """Read `NAME@HH:MM[+DURATION]`, in local time of the scenario's day. Raises `FaultMalformed`."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise FaultMalformed(f"{text!r} is not a fault", where="--fault", fix=_FORMS)
    name, time_of_day, duration = match.groups()
    if name not in (UPLINK_OUTAGE, AGENT_KILL):
        raise FaultMalformed(f"no fault is called {name!r}", where="--fault", fix=_FORMS)
    if (name == UPLINK_OUTAGE) != (duration is not None):
        has = "needs a length" if duration is None else "has no length"
        raise FaultMalformed(f"{text!r}: {name} {has}", where="--fault", fix=_FORMS)
    at_ms = scenario.moment(time_of_day)
    until_ms = at_ms + (_milliseconds(text, duration) if duration is not None else 0)
    if not scenario.start_ms <= at_ms <= until_ms < scenario.end_ms:
        raise FaultMalformed(
            f"{text!r} does not lie within the day",
            where="--fault",
            fix=f"choose times between {scenario.starts} and {scenario.ends}",
        )
    return Fault(name, at_ms, until_ms)


def _milliseconds(text: str, duration: str) -> int:
    match = _DURATION.fullmatch(duration)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total == 0:
        raise FaultMalformed(f"{text!r}: {duration!r} is not a duration", where="--fault", fix=_FORMS)
    return total * 1000


@dataclass(frozen=True, slots=True)
class Striker:
    """Brings faults about. What a fault needs is checked before the day begins."""

    pace: Pace
    truth: Truth
    relay: Relay | None
    agent_pid_file: Path | None

    def check(self, faults: list[Fault]) -> None:
        """Raises `FaultMalformed` for a fault that lacks what it strikes at."""
        for fault in faults:
            if fault.name == UPLINK_OUTAGE and self.relay is None:
                raise FaultMalformed(f"{fault.name} has no uplink to cut", where="--fault", fix="add --relay-to")
            if fault.name == AGENT_KILL and self.agent_pid_file is None:
                raise FaultMalformed(f"{fault.name} has nobody to kill", where="--fault", fix="add --agent-pid-file")

    async def strike(self, fault: Fault) -> None:
        """Wait for the fault's time, and bring it about. Raises `FaultMalformed` when no agent is there to kill."""
        await self.pace.until(fault.at_ms)
        at_ms = self.pace.clock.now()
        if fault.name == AGENT_KILL:
            self._kill()
            self.truth.fault(fault.name, at_ms, at_ms)
            return
        assert self.relay is not None
        await self.relay.cut()
        try:
            await self.pace.until(fault.until_ms)
        finally:
            await self.relay.mend()
            self.truth.fault(fault.name, at_ms, self.pace.clock.now())

    def _kill(self) -> None:
        assert self.agent_pid_file is not None
        try:
            text = self.agent_pid_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._nobody(str(error)) from None
        if _PID.fullmatch(text) is None:
            raise self._nobody(f"{text[:20]!r} is not a process id")
        try:
            os.kill(int(text), signal.SIGKILL)
        except (OSError, OverflowError) as error:
            raise self._nobody(str(error)) from None

    def _nobody(self, why: str) -> FaultMalformed:
        return FaultMalformed(
            f"there is no agent to kill: {why}", where=str(self.agent_pid_file), fix="start the agent first"
        )
