"""A child process on an event loop: its end is told at once, whoever else still holds its pipes (pidfd_open(2)).

asyncio's own tells it only when the pipes are closed too, and a pipe that nobody reads is never found closed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ChildProcess:
    """A process in a session of its own, with nothing of ours but three pipes."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it. Raises `OSError`."""
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env={}, cwd="/", start_new_session=True
        )
        self._pidfd = os.pidfd_open(self._popen.pid)
        self._ended = asyncio.Event()
        self._transports: list[asyncio.ReadTransport] = []
        asyncio.get_running_loop().add_reader(self._pidfd, self._ended.set)

    async def streams(self, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamReader]:
        """Its output and its errors, of which each holds `limit` bytes twice before their writer has to wait."""
        connecting = asyncio.ensure_future(self._readers(limit))
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            await asyncio.wait([connecting])  # a moment; a pipe that is half connected is nobody's to close
            raise

    @property
    def pid(self) -> int:
        """Its number, and that of its session."""
        return self._popen.pid

    async def wait(self) -> int:
        """Wait until it is over; returns its exit code, below zero for a signal's."""
        await self._ended.wait()
        return self._popen.wait()

    def close_input(self) -> None:
        """Let it see that nobody speaks to it any more."""
        assert self._popen.stdin is not None
        self._popen.stdin.close()

    def kill(self) -> None:
        """End it."""
        self._popen.kill()

    def close(self) -> None:
        """Let go of it, once it is over."""
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        for transport in self._transports:
            transport.close()

    async def _readers(self, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamReader]:
        return await self._reader(self._popen.stdout, limit), await self._reader(self._popen.stderr, limit)

    async def _reader(self, pipe: object, limit: int) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit, loop)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), pipe)
        self._transports.append(transport)
        return reader
