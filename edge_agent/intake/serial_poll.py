"""Intake by asking over a serial line: the devices that share it are asked in turn, each when it is due.

Modbus over Serial Line V1.02, section 2.5.1.1: silence of three and a half characters parts one message from the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import serial_asyncio_fast

from edge_agent.intake.polling import LONGEST_ANSWER, LineLost, Polled, StreamConnection, reason
from edge_agent.intake.serial_port import SerialPort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.config import SerialTable
    from edge_agent.intake.availability import Availability
    from telemetry import Clock

ANSWER_TIMEOUT_S: Final = 1.0
"""A device that is silent must not keep its neighbours waiting."""
_SILENT_CHARACTERS: Final = 3.5
_BITS: Final = 11
_SHORTEST_SILENCE_S: Final = 0.00175
"""At 19200 baud and above."""


class SerialConnection(StreamConnection):
    """A line on which whatever comes before a question belongs to none."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, baud: int) -> None:
        super().__init__(reader, writer, ANSWER_TIMEOUT_S)
        self._silence_s = max(_SHORTEST_SILENCE_S, _SILENT_CHARACTERS * _BITS / baud)

    async def write(self, data: bytes) -> None:
        """Wait until the line is silent, then send all of `data`. Raises `DeviceSilent`."""
        await self._within(self._fall_silent())
        await super().write(data)

    async def _fall_silent(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    if not await self._reader.read(LONGEST_ANSWER):
                        raise ConnectionResetError
            except TimeoutError:
                return


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
                reader, writer = await _open(self._line)
            except (OSError, ValueError) as error:  # SerialException is an OSError
                await self._all_down(reason(error))
                continue
            try:
                await self._ask_in_turn(SerialConnection(reader, writer, self._line.baud))
            except LineLost:
                pass
            finally:
                writer.close()
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


async def _open(line: SerialTable) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open the line as a pair of streams. Raises `OSError` or ValueError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(LONGEST_ANSWER, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    port = SerialPort(line.port, line.baud)
    transport, _ = await serial_asyncio_fast.connection_for_serial(loop, lambda: protocol, port)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
