"""A small HTTP server for pages that are only read: GET and HEAD alone, one answer a connection, bounded throughout."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

LONGEST_REQUEST: Final = 8192
READ_WITHIN_S: Final = 5.0
WRITE_WITHIN_S: Final = 10.0
MOST_CONNECTIONS: Final = 64
MOST_OF_ONE_PEER: Final = 16


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader asks for."""

    path: str
    query: Mapping[str, str]
    accepts: str
    """The languages preferred, as Accept-Language has them."""
    peer: str
    """The reader's address; never kept."""


class Answer(NamedTuple):
    """What a reader gets."""

    status: str
    kind: str
    body: bytes
    headers: Mapping[str, str] = {}


@dataclass(slots=True)
class PageServer:
    """Answers on one address. What fails of a reader stays with the reader."""

    key: str
    """The configuration's key, for the error when the port is taken, such as `health.port`."""
    host: str
    port_asked: int
    answer: Callable[[Request], Awaitable[Answer]]
    _server: asyncio.Server | None = None
    _peers: Counter[str] = field(default_factory=Counter)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def hosts(self) -> set[str]:
        """The addresses it listens on."""
        assert self._server is not None
        return {str(each.getsockname()[0]) for each in self._server.sockets}

    async def start(self) -> None:
        """Listen. Raises `EnvironmentFault` when the port cannot be had."""
        table = self.key.partition(".")[0]
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port_asked, limit=LONGEST_REQUEST)
        except OSError as error:
            raise EnvironmentFault(
                f"{self.key} {self.port_asked} cannot be opened: {error.strerror}",
                fix=f"see who has it with `ss -ltnp 'sport = :{self.port_asked}'`, or set [{table}] port = 0",
            ) from None

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername", ("",))[0])
        self._peers[peer] += 1
        try:
            if self._peers.total() <= MOST_CONNECTIONS and self._peers[peer] <= MOST_OF_ONE_PEER:
                await self._converse(reader, writer, peer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that hangs up, stalls or babbles gets no answer
        finally:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        async with asyncio.timeout(READ_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
        request = parse(head, peer)
        answer = Answer("405 Method Not Allowed", "text/plain", b"GET and HEAD alone\n", {"Allow": "GET, HEAD"})
        if request is not None:
            answer = await self.answer(request)
        async with asyncio.timeout(WRITE_WITHIN_S):
            writer.write(_encoded(answer, has_body=not head.startswith(b"HEAD ")))
            await writer.drain()


def parse(head: bytes, peer: str) -> Request | None:
    """The request of these header lines; None for what is neither GET nor HEAD."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    if method not in ("GET", "HEAD"):
        return None
    path, _, query = rest.partition(" ")[0].partition("?")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        asked = dict(parse_qsl(query, max_num_fields=8))
    except ValueError:
        asked = {}
    return Request(path, asked, headers.get("accept-language", ""), peer)


def _encoded(answer: Answer, *, has_body: bool) -> bytes:
    """The bytes of an answer; those to HEAD tell of a body and have none (RFC 9110, section 9.3.2)."""
    headers = {
        "Content-Type": answer.kind,
        "Content-Length": str(len(answer.body)),
        "Connection": "close",
        **answer.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status}\r\n{lines}\r\n".encode("latin-1") + (answer.body if has_body else b"")
