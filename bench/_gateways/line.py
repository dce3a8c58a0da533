"""The uplink's cable: a relay in a process of its own, that can be cut, can fall silent, and can be mended.

python -m bench._gateways.line PORT TARGET_PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench._processes import HOST, answers, until

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 65_536


class Line:
    """A line that leads to a port."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None
        self.mend()

    def cut(self) -> None:
        """Everybody is told at once: connections end, and new ones are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def fall_silent(self) -> None:
        """Nobody is told: connections stay, and take in what the machine's buffers hold, but nothing goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """A line as new: what was connected before is gone, and what was on the way with it."""
        self.cut()
        command = [sys.executable, "-m", "bench._gateways.line", str(self.port), str(self._target)]
        self._process = subprocess.Popen(command)
        until(lambda: answers(self.port), "the uplink's line is there")


@contextlib.contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A line that is gone when the block is left."""
    line = Line(port)
    try:
        yield line
    finally:
        line.cut()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _relay(port: int, target: int) -> None:
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, target)
        await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))

    async with await asyncio.start_server(join, HOST, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_relay(int(sys.argv[1]), int(sys.argv[2])))
