"""Intake by asking over a serial line: the devices that share it are asked in turn, each when it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from device_drivers.connections import open_serial, reason
from device_drivers.line_faults import LineLost
from edge_agent.intake.polling import all_down, ask_in_turn

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
                await all_down(self._polled, reason(error))
                continue
            try:
                await self._ask_in_turn(connection)
            except LineLost:
                pass
            finally:
                connection.close()
            await all_down(self._polled, "the line went away")

    async def _ask_in_turn(self, connection: SerialConnection) -> NoReturn:
        await ask_in_turn(self._polled, self._clock, lambda polled: polled.ask(connection))
