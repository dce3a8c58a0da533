"""The TCP side of a simulated projector: greeting, authentication, one connection at a time, idle close.

Format: as in `simulators.pjlink`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.pjlink import Projector
    from telemetry import Clock

IDLE_S: Final = 30.0
_LONGEST_LINE: Final = 256
_COMMAND: Final = re.compile(r"%([12])([A-Za-z0-9]{4}) (.{0,128})")


class ProjectorServer:
    """One projector on its own port."""

    def __init__(
        self,
        projector: Projector,
        clock: Clock,
        *,
        password: str = "",
        idle_s: float = IDLE_S,
        on_answer: Callable[[int, bool], None] = lambda _readings, _delivered: None,
    ) -> None:
        """`on_answer` is told, for every answer, its number of readings: before it is sent, and once it is."""
        self.projector = projector
        self.password = password
        self.port = 0
        self._clock, self._idle_s, self._on_answer = clock, idle_s, on_answer
        self._server: asyncio.Server | None = None
        self._talking: asyncio.Task[None] | None = None

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; the port it got is in `port`."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_LONGEST_LINE)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.gather(self._talking, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._talking is not None:
            writer.close()
            return
        self._talking = asyncio.current_task()
        try:
            with contextlib.suppress(
                ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                await self._talk(reader, writer)
        except asyncio.LimitOverrunError:
            pass  # longer than any command: hang up
        finally:
            self._talking = None
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        digest = ""
        if self.password:
            token = secrets.token_hex(4)
            digest = hashlib.md5(f"{token}{self.password}".encode(), usedforsecurity=False).hexdigest()
            writer.write(f"PJLINK 1 {token}\r".encode())
        else:
            writer.write(b"PJLINK 0\r")
        admitted = not digest
        while True:
            async with asyncio.timeout(self._idle_s):
                line = (await reader.readuntil(b"\r"))[:-1].decode("utf-8", "replace").lstrip("\n")
            if digest and (not admitted or not line.startswith("%")):
                if not hmac.compare_digest(line[:32].lower().encode(), digest.encode()):
                    writer.write(b"PJLINK ERRA\r")
                    await writer.drain()
                    return
                admitted, line = True, line[32:]
            await self._answer(line, writer)

    async def _answer(self, line: str, writer: asyncio.StreamWriter) -> None:
        match = _COMMAND.fullmatch(line)
        if match is None:
            return  # not of the command's form: a projector stays silent
        of_class, command, parameter = match.groups()
        answer = self.projector.answer(command.upper(), parameter, of_class=int(of_class), at_ms=self._clock.now())
        self._on_answer(answer.readings, False)
        writer.write(f"%{of_class}{command.upper()}={answer.text}\r".encode())
        await writer.drain()
        self._on_answer(answer.readings, True)
