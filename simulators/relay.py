"""A cable: a TCP relay on loopback, in front of a centre or a broker, that can be cut and mended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl

HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536


class Relay:
    """Forwards every connection to `target`; while it is cut, connections are reset and new ones refused."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.port = 0
        self.is_mute = False
        """While it is, what the target says does not come through."""
        self._holder: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take a port, for good, and listen on it."""
        # a bound socket that never listens keeps the port ours, and refuses everyone, while the relay is cut
        self._holder = _bound(0)
        self.port = self._holder.getsockname()[1]
        await self.mend()

    async def cut(self) -> None:
        """Drop what is connected and refuse what comes."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            _reset(writer)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def mend(self) -> None:
        """Listen again, on the same port; harmless when it is not cut."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=_bound(self.port))

    async def pretend(self, context: ssl.SSLContext) -> None:
        """While it is cut, be a server that encrypts with `context` and says nothing else; `cut` ends it."""
        self._server = await asyncio.start_server(_shake_hands, sock=_bound(self.port), ssl=context)

    async def close(self) -> None:
        """End every connection and give the port back."""
        await self.cut()
        if self._holder is not None:
            self._holder.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._connections.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pour(reader, far_writer, is_answer=False))
                both.create_task(self._pour(far_reader, writer, is_answer=True))
        finally:
            self._writers.discard(far_writer)
            far_writer.close()

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if not (is_answer and self.is_mute):
                    writer.write(chunk)
                    await writer.drain()
        with contextlib.suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()


async def _shake_hands(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        # a linger of no time makes the close a reset: what is under way is lost, as on a cut cable
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((HOST, port))
    return bound
