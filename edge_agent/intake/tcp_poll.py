"""Intake by asking over TCP: one connection a round, everything the driver wants to know, then closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from edge_agent.events import Arrival
from edge_agent.intake.availability import Availability
from telemetry import DeviceFault

if TYPE_CHECKING:
    from device_drivers.contract import PollDriver
    from edge_agent.config import TcpTable
    from edge_agent.intake import Deliver
    from telemetry import Clock

ANSWER_TIMEOUT_S: Final = 5.0
ROUND_TIMEOUT_S: Final = 30.0
LONGEST_ANSWER: Final = 4096


class DeviceSilent(DeviceFault):
    """A device that does not answer in time, hangs up, or does not stop talking."""

    code = "device_silent"


class TcpConnection:
    """One connection to a device; each call has its time limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read_until(self, separator: bytes) -> bytes:
        """The bytes up to and including `separator`. Raises `DeviceSilent`."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._reader.readuntil(separator)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise _silent(error) from None

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes. Raises `DeviceSilent`."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._reader.readexactly(count)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            raise _silent(error) from None

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises `DeviceSilent`."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._writer.write(data)
                await self._writer.drain()
        except (TimeoutError, OSError) as error:
            raise _silent(error) from None


class TcpPollIntake:
    """Asks one device every cadence of the agent's time."""

    def __init__(
        self, device: str, address: TcpTable, driver: PollDriver, every_ms: int, *, clock: Clock, deliver: Deliver
    ) -> None:
        self._device = device
        self._address = address
        self._driver = driver
        self._every_ms = every_ms
        self._clock = clock
        self._deliver = deliver
        self.availability = Availability(device)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            due_ms = (self._clock.now() // self._every_ms + 1) * self._every_ms
            await asyncio.sleep(self._clock.until(due_ms))
            try:
                async with asyncio.timeout(ROUND_TIMEOUT_S):
                    arrivals = await self._ask()
            except (DeviceFault, TimeoutError) as error:
                await asyncio.sleep(self.availability.down(str(error) or "no answer in time"))
                continue
            self.availability.up()
            self._deliver(arrivals)

    async def _ask(self) -> list[Arrival]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(
                    self._address.host, self._address.port, limit=LONGEST_ANSWER
                )
        except (TimeoutError, OSError) as error:
            raise _silent(error) from None
        try:
            connection = TcpConnection(reader, writer)
            return [
                Arrival(frame, self._clock.now(), device=self._device) async for frame in self._driver.poll(connection)
            ]
        finally:
            writer.close()


def _silent(error: Exception) -> DeviceSilent:
    strerror = getattr(error, "strerror", None)
    return DeviceSilent(strerror or type(error).__name__)
