"""A device that is not there, on a real line: it answers over a pseudo-terminal or TCP as its frames were recorded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from device_drivers.connections import LARGEST_READ, hear, open_serial, open_tcp
from device_drivers.field_rows import Transport
from device_drivers.serial_port import SerialPort

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from device_drivers.conformance.conversation import Conversation
    from device_drivers.connections import StreamConnection

ANSWER_TIMEOUT_S: Final = 8.0
"""How long the kit waits for an answer that comes: its devices are on this machine, which may be busy."""
SPOILED_TIMEOUT_S: Final = 3.0
"""How long it waits for one that comes spoiled, and may never be whole."""
SILENCE_TIMEOUT_S: Final = 0.3
"""How long it waits where none will come."""
BAUD: Final = 115_200


@dataclass(frozen=True)
class Manner:
    """How a device answers."""

    pause_s: float = 0.0
    """Between two bytes."""
    cut: tuple[int, int] | None = None
    """In which answer it stops, after how many bytes."""
    hangs_up: bool = False
    """Whether the line ends there; else the device falls silent."""
    change: Callable[[bytes], bytes] = bytes
    """What becomes of an answer on its way."""


class End(Protocol):
    """The device's end of a line."""

    def send(self, data: bytes) -> None:
        """Send all of `data`, if anybody is there."""
        ...

    def hang_up(self) -> None:
        """End the line; harmless when it has ended."""
        ...


class Device:
    """Answers the questions of a conversation in their order, over and over."""

    def __init__(self, conversation: Conversation, manner: Manner | None = None) -> None:
        self.heard = 0
        """Questions that came, understood or not."""
        self.is_asked = asyncio.Event()
        self.is_left = asyncio.Event()
        """Set when the line is closed, from whichever end."""
        self._greeting = conversation.greeting
        self._turns = conversation.turns
        self._manner = manner or Manner()
        self._question = b""
        self._talk: asyncio.Task[None] | None = None

    @property
    def timeout_s(self) -> float:
        """How long its answers are worth waiting for."""
        if self._manner.cut is not None and not self._manner.hangs_up:
            return SILENCE_TIMEOUT_S
        return ANSWER_TIMEOUT_S if self._manner.change is bytes else SPOILED_TIMEOUT_S

    def connected(self, line: End) -> None:
        """Somebody is there."""
        self._line = line
        line.send(self._greeting)

    def received(self, data: bytes) -> None:
        """Hear a part of a question, and answer it when it is whole."""
        self.is_asked.set()
        self.heard += not self._question
        self._question += data
        index = self.heard - 1
        question, answer = self._turns[index % len(self._turns)]
        if self._question.endswith(question):
            self._question = b""
            self._say(answer, index)

    def left(self) -> None:
        """The line is closed."""
        self.is_left.set()
        if self._talk is not None:
            self._talk.cancel()

    def _say(self, answer: bytes, index: int) -> None:
        manner = self._manner
        cut_in, after = manner.cut or (-1, 0)
        if 0 <= cut_in < index:
            return
        said = manner.change(answer)[: after if index == cut_in else None]
        if manner.pause_s:
            self._talk = asyncio.create_task(self._spell(said))
            return
        self._line.send(said)
        if index == cut_in and manner.hangs_up:
            self.is_left.set()
            self._line.hang_up()

    async def _spell(self, said: bytes) -> None:
        for byte in said:
            self._line.send(bytes([byte]))
            await asyncio.sleep(self._manner.pause_s)


class SerialEnd:
    """The device's end of a pseudo-terminal."""

    def __init__(self) -> None:
        self._near, far = os.openpty()
        tty.setraw(far)
        self.port = os.ttyname(far)
        self._far = far

    def opened(self) -> None:
        """The other end is open: ours of it is not needed any more, so that the device sees when it is closed."""
        os.close(self._far)

    def serve(self, device: Device) -> None:
        """Let a device answer here."""
        asyncio.get_running_loop().add_reader(self._near, self._ready, device)
        device.connected(self)

    def send(self, data: bytes) -> None:
        """Write, and keep what does not fit away: nobody reads any more."""
        if self._near >= 0 and data:
            with contextlib.suppress(OSError):
                os.write(self._near, data)

    def hang_up(self) -> None:
        """End the line; harmless when it has ended."""
        if self._near >= 0:
            asyncio.get_running_loop().remove_reader(self._near)
            os.close(self._near)
            self._near = -1

    def _ready(self, device: Device) -> None:
        try:
            device.received(os.read(self._near, LARGEST_READ))
        except OSError:  # how a pseudo-terminal says that its other end is closed
            device.left()
            self.hang_up()


class TcpEnd(asyncio.Protocol):
    """The device's end of a TCP connection."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._device.connected(self)

    def data_received(self, data: bytes) -> None:
        """Hear."""
        self._device.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection is closed."""
        self._device.left()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._transport.write(data)

    def hang_up(self) -> None:
        """End the connection."""
        self._transport.close()


@contextlib.asynccontextmanager
async def asked(device: Device, transport: Transport) -> AsyncIterator[StreamConnection]:
    """A line to a device as the agent has it; afterwards both ends are closed."""
    if transport is Transport.TCP_POLL:
        line = over_tcp(device, lambda: TcpEnd(device), lambda port: open_tcp("127.0.0.1", port, device.timeout_s))
        async with line as connection:
            yield connection
        return
    end = SerialEnd()
    try:
        connection = await open_serial(end.port, BAUD, device.timeout_s)
        end.opened()
        end.serve(device)
        try:
            yield connection
        finally:
            connection.close()
            await _until_left(device)
    finally:
        end.hang_up()


@contextlib.asynccontextmanager
async def over_tcp(
    device: Device, end: Callable[[], TcpEnd], connect: Callable[[int], Awaitable[StreamConnection]]
) -> AsyncIterator[StreamConnection]:
    """A line to a device over TCP; `connect` is given the port. Afterwards both ends are closed."""
    server = await asyncio.get_running_loop().create_server(end, "127.0.0.1", 0)
    try:
        connection = await connect(server.sockets[0].getsockname()[1])
        try:
            yield connection
        finally:
            connection.close()
            await _until_left(device)
    finally:
        server.close()


async def _until_left(device: Device) -> None:
    """Let the device see that its line is closed."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(device.is_left.wait(), ANSWER_TIMEOUT_S)


async def streamed(chunks: Sequence[bytes], pause_s: float, take: Callable[[bytes], None]) -> None:
    """Send chunks over a pseudo-terminal, let `take` have them as they come, as the agent does, and end the line."""
    end = SerialEnd()
    port = SerialPort(end.port, BAUD)
    end.opened()
    size = sum(map(len, chunks))
    came = 0
    all_came = asyncio.Event()

    def count(data: bytes) -> None:
        nonlocal came
        came += len(data)
        if came >= size:
            all_came.set()
        take(data)

    hearing = asyncio.create_task(hear(port, count))
    try:
        await asyncio.sleep(0)
        for chunk in chunks:
            end.send(chunk)
            await asyncio.sleep(pause_s)
        waiting = asyncio.create_task(all_came.wait())  # what has not come when the line ends is lost
        await asyncio.wait((waiting, hearing), timeout=ANSWER_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        end.hang_up()
        await asyncio.wait_for(hearing, ANSWER_TIMEOUT_S)
    finally:
        hearing.cancel()
        port.close()
        end.hang_up()
