"""The centre as a process: binds, opens, serves, and leaves in order when told to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from typing import TYPE_CHECKING, Final

import uvicorn

from cloud_sink.app import build_app
from cloud_sink.centre import open_centre
from cloud_sink.ports import bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud_sink.centre import Seams
    from cloud_sink.config import LoadedConfig
    from cloud_sink.live import Live
    from telemetry import Clock

LEAVE_WITHIN_S: Final = 5
UNREAD_S: Final = 60
"""How long a client may leave unread what was sent to it, as a laptop does that was closed on a page: its connection is
given up then, and what waits for it with it (tcp(7), TCP_USER_TIMEOUT)."""


class _Server(uvicorn.Server):
    """Ends the live streams before it waits for connections to close, and says where it listens."""

    def __init__(self, config: uvicorn.Config, live: Live, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._live = live
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.end()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave in order on a signal; uvicorn would raise it again before the state folder is closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.leave)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def leave(self) -> None:
        """Take no more connections, and end."""
        self.should_exit = True


def _is_news(record: logging.LogRecord) -> bool:
    """Of requests that it no longer waits for, uvicorn says how many, and then shows each as a fault of ours."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


async def serve(
    loaded: LoadedConfig, clock: Clock, announce: Callable[[str], None], seams: Seams | None = None
) -> None:
    """Run the centre until a signal ends it; `announce` gets its URL once it answers. Raises `EnvironmentFault`."""
    centre_config = loaded.config.centre
    listener = bind(centre_config.host, centre_config.port)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_S * 1000))
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with contextlib.closing(listener):
        async with open_centre(loaded, clock, seams) as centre:
            config = uvicorn.Config(
                build_app(centre),
                lifespan="off",
                access_log=False,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=LEAVE_WITHIN_S,
            )
            logging.getLogger("uvicorn.error").addFilter(_is_news)
            server = _Server(config, centre.live, lambda: announce(url))
            following = [asyncio.create_task(work) for work in centre.background()]
            for task in following:
                task.add_done_callback(lambda _: server.leave())
            serving = asyncio.create_task(server.serve(sockets=[listener]), name="server")
            try:
                await asyncio.shield(serving)
            finally:
                server.leave()
                await serving
                for task in following:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
