"""A TCP port on which devices speak when they are asked."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulators.asked_line import Answer, Asked

LONGEST_QUESTION: Final = 256


class AskedServer:
    """Devices on one port, each of which knows its own questions.

    `on_answer` is told as a projector's is: before, and once it is sent.
    """

    def __init__(
        self,
        devices: Sequence[Asked],
        on_answer: Callable[[str, int, bool], None],
        perceive: Callable[[str], bool] = lambda _device: True,
    ) -> None:
        """`perceive` is called before a device measures, and says whether it can speak at all."""
        self.port = 0
        self._devices, self._on_answer, self._perceive = devices, on_answer, perceive
        self._server: asyncio.Server | None = None
        self._talking: set[asyncio.Task[None]] = set()

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; the port it got is in `port`."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and hang up; harmless when that is done."""
        if self._server is not None:
            self._server.close()
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._talking.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one caller until there are no more questions."""
        while question := await reader.read(LONGEST_QUESTION):
            found = self._ask(question)
            if found is not None:
                device, answer = found
                await self._send(device, len(answer.readings), answer.content, writer)

    def _ask(self, question: bytes) -> tuple[str, Answer] | None:
        """Whoever is meant, and what it says."""
        for device in self._devices:
            answer = device.answer(question) if self._perceive(device.id) else None
            if answer is not None:
                return device.id, answer
        return None

    async def _send(self, device: str, readings: int, content: bytes, writer: asyncio.StreamWriter) -> None:
        self._on_answer(device, readings, False)
        writer.write(content)
        await writer.drain()
        self._on_answer(device, readings, True)
