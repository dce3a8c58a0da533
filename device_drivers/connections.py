"""Lines to devices that are asked, over TCP or serial: what the agent hands to `poll` as a `Connection`.

Modbus over Serial Line V1.02, section 2.5.1.1: silence of three and a half characters parts one message from the next.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from typing import TYPE_CHECKING, Final

import serial_asyncio_fast

from device_drivers.line_faults import DeviceSilent, LineLost
from device_drivers.serial_port import SerialPort

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    T = TypeVar("T")

LONGEST_ANSWER: Final = 4096
LARGEST_READ: Final = 65_536
_SILENT_CHARACTERS: Final = 3.5
_BITS: Final = 11
_SHORTEST_SILENCE_S: Final = 0.00175
"""At 19200 baud and above."""
_NUMBER: Final = re.compile(r"\[Errno (\d+)\]")
_PLAIN: Final[dict[type[Exception], str]] = {
    TimeoutError: "no answer in time",
    asyncio.IncompleteReadError: "the connection ended",
    asyncio.LimitOverrunError: "the answer does not end",
}


class StreamConnection:
    """A line to a device over a pair of streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        self.is_in_step = True
        """Whether every call came to its end; else an answer that is late, or a part of one, may still come."""

    async def read_until(self, separator: bytes) -> bytes:
        """The bytes up to and including `separator`. Raises `DeviceSilent`."""
        return await self._within(self._reader.readuntil(separator))

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes. Raises `DeviceSilent`."""
        return await self._within(self._reader.readexactly(count))

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises `DeviceSilent`."""
        self._writer.write(data)
        await self._within(self._writer.drain())

    def close(self) -> None:
        """Close the line, whatever is still on it."""
        self._writer.close()

    async def _within(self, call: Awaitable[T]) -> T:
        is_in_step, self.is_in_step = self.is_in_step, False
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await call
        except (TimeoutError, asyncio.LimitOverrunError) as error:
            raise DeviceSilent(reason(error)) from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise LineLost(reason(error)) from None
        self.is_in_step = is_in_step
        return result


class SerialConnection(StreamConnection):
    """A line on which whatever comes before a question belongs to none."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float, *, silence_s: float
    ) -> None:
        super().__init__(reader, writer, timeout_s)
        self._silence_s = silence_s

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


async def open_serial(port: str, baud: int, timeout_s: float) -> SerialConnection:
    """Open a serial line for this process alone. Raises `OSError` or ValueError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(LONGEST_ANSWER, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await serial_asyncio_fast.connection_for_serial(loop, lambda: protocol, SerialPort(port, baud))
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    silence_s = max(_SHORTEST_SILENCE_S, _SILENT_CHARACTERS * _BITS / baud)
    return SerialConnection(reader, writer, timeout_s, silence_s=silence_s)


async def open_tcp(host: str, port: int, timeout_s: float) -> StreamConnection:
    """Connect to a device. Raises `LineLost`."""
    return StreamConnection(*await connected(host, port, timeout_s), timeout_s)


async def connected(host: str, port: int, timeout_s: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The streams of a TCP connection. Raises `LineLost`."""
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.open_connection(host, port, limit=LONGEST_ANSWER)
    except (TimeoutError, OSError) as error:
        raise LineLost(reason(error)) from None


async def hear(port: SerialPort, take: Callable[[bytes], None]) -> None:
    """Hand on what arrives at a port, as it comes, until the line ends. Raises what `take` raises."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if ended.done():
            return
        try:
            data = port.read(LARGEST_READ)
        except OSError:
            ended.set_result(None)
            return
        try:
            take(data)
        except Exception as error:  # noqa: BLE001 - raised again below, in the task that supervises the driver
            ended.set_exception(error)

    loop.add_reader(port.fileno(), ready)
    try:
        await ended
    finally:
        loop.remove_reader(port.fileno())


def reason(error: Exception) -> str:
    """An error of the system in few words, without what was on the line, and without the line's name."""
    if isinstance(error, socket.gaierror):  # whose numbers are not the system's
        return str(error.strerror)
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (first := _NUMBER.search(str(error))):  # of several addresses, each with an error of its own
        number = int(first[1])
    return os.strerror(number) if number else _PLAIN.get(type(error), type(error).__name__)
