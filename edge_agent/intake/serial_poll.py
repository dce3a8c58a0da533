"""Intake by asking over a serial line: the devices that share it are asked in turn, each when it is due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from device_drivers.connections import LineLost, open_serial, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.connections import SerialConnection
    from edge_agent.config import SerialTable
    from edge_agent.intake.availability import Availability
    from edge_agent.intake.polling import Polled
    from telemetry import Clock

ANSWER_TIMEOUT_S: Final = 1.0
"""A device that is silent must not keep its neighbours waiting."""


class SerialPollIntake:
    """Keeps one line open and asks its devices; opens it again when it goes away."""

    def __init__(self, line: SerialTable, polled: Sequence[Polled], clock: Clock) -> None:
        self._line = line
        self._polled = polled
        self._clock = clock

    @property
    def availabilities(self) -> Sequence[Availability]:
        """Of every device on the line."""
        return [polled.availability for polled in self._polled]

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                connection = await open_serial(self._line.port, self._line.baud, ANSWER_TIMEOUT_S)
            except (OSError, ValueError) as error:  # SerialException is an OSError
                await self._all_down(reason(error))
                continue
            try:
                await self._ask_in_turn(connection)
            except LineLost:
                pass
            finally:
                connection.close()
            await self._all_down("the line went away")

    async def _ask_in_turn(self, connection: SerialConnection) -> None:
        """Ask whichever device is due next, for as long as there is a line. Raises `LineLost`."""
        due = [polled.next_due_ms() for polled in self._polled]
        rest_until = [0.0] * len(due)
        while True:
            index = min(range(len(due)), key=due.__getitem__)
            await asyncio.sleep(self._clock.until(due[index]))
            if self._clock.monotonic() >= rest_until[index]:
                wait_s = await self._polled[index].ask(connection)
                rest_until[index] = self._clock.monotonic() + wait_s
            due[index] = self._polled[index].next_due_ms()

    async def _all_down(self, what: str) -> None:
        await asyncio.sleep(max(polled.availability.down(what) for polled in self._polled))
