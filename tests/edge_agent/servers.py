"""Loopback servers that answer as a test tells them: a centre over HTTP, and a device over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tests.support.waiting import until

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

Answer: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes


@contextlib.asynccontextmanager
async def serving(answer: Answer, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on loopback while the block runs; gives the port. Every connection is closed at the end."""
    writers: list[asyncio.StreamWriter] = []
    answering: set[asyncio.Task[None]] = set()

    # No coroutine: a task that is cancelled before it began would have noted nobody's writer.
    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.create_task(_until_gone(answer, reader, writer))
        answering.add(task)
        task.add_done_callback(answering.discard)

    server = await asyncio.start_server(meet, "127.0.0.1", port, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for task in answering:
            task.cancel()
        if sys.version_info >= (3, 12):
            await server.wait_closed()
        else:  # there it waits for nobody; and of a handshake that goes on there is no writer
            await until(lambda: not server._active_count)  # type: ignore[attr-defined] # it has no public name


async def _until_gone(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await answer(reader, writer)


class Centre:
    """Answers each request with what `replies` gives next, its last for ever, and keeps what was asked.

    A reply is the bytes of an HTTP response; `{mark}` in it becomes the request's Idempotency-Key. None hangs up.
    """

    def __init__(self, *replies: bytes | None) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            self.requests.append(request)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if reply is None:
                writer.close()
                return
            writer.write(reply.replace(b"{mark}", request.headers.get("idempotency-key", "").encode()))
            await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Request:
    """One HTTP/1.1 request with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0].split(" ")[1], headers, body)


def reply(status: int, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of a response."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


DURABLE = reply(204, "Bansui-Applied: {mark}0", f"Bansui-Ledger-Head: {'0' * 64}")
"""The centre has ten times as many batches, and so states a head that is not that of this one."""
