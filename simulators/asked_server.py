"""A TCP port on which one device speaks when it is asked."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.asked_line import Asked

_LONGEST_QUESTION: Final = 256


class AskedServer:
    """One device on its own port. `on_answer` is told as a projector's is: before, and once it is sent."""

    def __init__(
        self,
        device: Asked,
        on_answer: Callable[[str, int, bool], None],
        perceive: Callable[[str], bool] = lambda _device: True,
    ) -> None:
        """`perceive` is called before the device measures, and says whether it can speak at all."""
        self.port = 0
        self._device, self._on_answer, self._perceive = device, on_answer, perceive
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
            with contextlib.suppress(ConnectionError):
                while question := await reader.read(_LONGEST_QUESTION):
                    await self._answer(question, writer)
        finally:
            self._talking.discard(task)
            writer.close()

    async def _answer(self, question: bytes, writer: asyncio.StreamWriter) -> None:
        answer = self._device.answer(question) if self._perceive(self._device.id) else None
        if answer is None:
            return
        self._on_answer(self._device.id, len(answer.readings), False)
        writer.write(answer.content)
        await writer.drain()
        self._on_answer(self._device.id, len(answer.readings), True)
