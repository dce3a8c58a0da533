"""Intake by asking over TCP: one connection a round, everything the driver wants to know, then closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from device_drivers.connections import open_tcp
from device_drivers.line_faults import DeviceSilent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.config import TcpTable
    from edge_agent.intake.availability import Availability
    from edge_agent.intake.polling import Polled
    from telemetry import Clock

ANSWER_TIMEOUT_S: Final = 5.0


class TcpPollIntake:
    """Asks one device whenever it is due."""

    def __init__(self, address: TcpTable, polled: Polled, clock: Clock) -> None:
        self._address = address
        self._polled = polled
        self._clock = clock

    @property
    def availabilities(self) -> Sequence[Availability]:
        """Of its one device."""
        return (self._polled.availability,)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(self._clock.until(self._polled.next_due_ms()))
            try:
                wait_s = await self._ask()
            except DeviceSilent as error:
                wait_s = self._polled.availability.down(str(error))
            await asyncio.sleep(wait_s)

    async def _ask(self) -> float:
        connection = await open_tcp(self._address.host, self._address.port, ANSWER_TIMEOUT_S)
        try:
            return await self._polled.ask(connection)
        finally:
            connection.close()
