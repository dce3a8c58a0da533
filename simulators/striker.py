"""Brings about, at their time, the faults that need the clock: of the uplink, the agent, the broker and the power."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulators.faults import (
    AGENT_KILL,
    BROKER_RESTART,
    CERTIFICATE_EXPIRY,
    DUPLICATE_STORM,
    POWER_CUT,
    UNPLUG,
    UPLINK_OUTAGE,
    FaultMalformed,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.broker_watch import BrokerWatch
    from simulators.faults import Fault
    from simulators.pace import Pace, Progress
    from simulators.relay import Relay
    from simulators.truth import Truth
    from simulators.wires import Wires

_PID: Final = re.compile(r"[1-9][0-9]*")
"""Never 0, nor a negative number: those mean whole groups of processes."""
EXPIRED: Final = Path(__file__).parent / "expired.pem"
_WHOLE: Final = frozenset({UPLINK_OUTAGE, CERTIFICATE_EXPIRY, BROKER_RESTART})
"""These last as long as they are written, also when a busy machine brings them about late."""
_DELIVERED_S: Final = 0.4
"""Real time in which messages get through and their acknowledgements do not."""


@dataclass(slots=True)
class Striker:
    """What faults strike with. What one needs is checked before the run begins."""

    pace: Pace
    truth: Truth
    uplink: Relay | None
    agent_pid_file: Path | None
    broker: Relay | None = None
    """The devices' way to their broker."""
    wires: Wires | None = None
    progress: Progress | None = None
    """Of what devices say unasked."""
    watch: BrokerWatch | None = None
    """Whoever tells of a broker that is away, and need not tell of one that a fault took away."""

    def check(self, faults: list[Fault]) -> None:
        """Raises `FaultMalformed` for a fault that lacks what it strikes at."""
        for fault in faults:
            if fault.kind.strikes is Target.UPLINK and self.uplink is None:
                raise FaultMalformed(f"{fault.name} has no uplink to cut", where="--fault", fix="add --relay-to")
            if fault.name == AGENT_KILL and self.agent_pid_file is None:
                raise FaultMalformed(f"{fault.name} has nobody to kill", where="--fault", fix="add --agent-pid-file")

    async def strike(self, fault: Fault) -> None:
        """Wait for the fault's time, and bring it about. Raises `FaultMalformed` when that turns out impossible."""
        if fault.name not in (POWER_CUT, UNPLUG):  # those strike when devices have said all until then
            await self.pace.until(fault.at_ms)
        at_ms = max(fault.at_ms, self.pace.clock.now())
        if fault.name == AGENT_KILL:
            self._kill()
            self.truth.fault(fault, at_ms, at_ms)
            return
        action = {
            UPLINK_OUTAGE: self._cut_uplink,
            CERTIFICATE_EXPIRY: self._expire,
            BROKER_RESTART: self._cut_broker,
            DUPLICATE_STORM: self._storm,
            POWER_CUT: self._cut_power,
            UNPLUG: self._unplug,
        }.get(fault.name, self._wait)
        try:
            await action(fault)
        finally:
            ends_ms = at_ms + _length_ms(fault) if fault.name in _WHOLE else max(fault.until_ms, at_ms)
            self.truth.fault(fault, at_ms, min(self.pace.clock.now(), ends_ms))

    async def _wait(self, fault: Fault) -> None:
        """Of a fault that is in the frames themselves."""
        await self.pace.until(fault.until_ms)

    async def _cut_uplink(self, fault: Fault) -> None:
        assert self.uplink is not None
        await self._without(self.uplink, fault)

    async def _cut_broker(self, fault: Fault) -> None:
        assert self.broker is not None
        with self._on_purpose():
            await self._without(self.broker, fault)

    @contextlib.contextmanager
    def _on_purpose(self) -> Iterator[None]:
        if self.watch is not None:
            self.watch.expect_failures()
        try:
            yield
        finally:
            if self.watch is not None:
                self.watch.expect_failures(is_over=True)

    async def _without(self, relay: Relay, fault: Fault) -> None:
        await relay.cut()
        try:
            await self._whole(fault)
        finally:
            await relay.mend()

    async def _whole(self, fault: Fault) -> None:
        """Wait for the end of a fault that has begun."""
        await self.pace.until(max(fault.at_ms, self.pace.clock.now()) + _length_ms(fault))

    async def _expire(self, fault: Fault) -> None:
        assert self.uplink is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(EXPIRED)
        await self.uplink.cut()
        try:
            await self.uplink.pretend(context)
            await self._whole(fault)
        finally:
            await self.uplink.cut()
            await self.uplink.mend()

    async def _storm(self, fault: Fault) -> None:
        """Again and again: messages arrive, acknowledgements do not, the connection breaks, all is sent again."""
        assert self.broker is not None
        with self._on_purpose():
            try:
                while True:
                    self.broker.is_mute = True
                    await asyncio.sleep(_DELIVERED_S)
                    await self.broker.cut()
                    self.broker.is_mute = False
                    await self.broker.mend()
                    await asyncio.sleep(_DELIVERED_S)
                    if self.pace.clock.now() >= fault.until_ms:
                        return
            finally:
                self.broker.is_mute = False
                await self.broker.mend()

    async def _cut_power(self, fault: Fault) -> None:
        assert self.wires is not None
        assert self.progress is not None
        async with self.progress.at(fault.at_ms):
            await self.wires.power_off()
            self.truth.forgotten(None)
        try:
            await self.pace.until(fault.until_ms)
        finally:
            await self.wires.power_on()

    async def _unplug(self, fault: Fault) -> None:
        assert self.wires is not None
        assert self.progress is not None
        async with self.progress.at(fault.at_ms):
            await self.wires.pull_out(fault.device)
            if self.wires.is_own(fault.device):
                self.truth.forgotten(fault.device)
        try:
            await self.pace.until(fault.until_ms)
        finally:
            is_back = await self.wires.put_back(fault.device)
        if not is_back:
            raise FaultMalformed(
                f"{fault.device} could not be put back: its port is still held open by somebody, or has been taken",
                where="--fault",
                fix="let whoever reads the port close it when the line is gone",
            )

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


def _length_ms(fault: Fault) -> int:
    return fault.until_ms - fault.at_ms
