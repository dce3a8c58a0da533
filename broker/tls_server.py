"""Accepts connections by TLS: each is counted from its first moment, and refused where its handshake fails."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from broker.connection import Connection
from broker.refusals import Refusal

if TYPE_CHECKING:
    from broker.connection import Owner
    from broker.limits import Limits
    from broker.tls import Certificate

BACKLOG: Final = 512
_NO_FILES_S: Final = 1.0
"""How long to wait for a file to be closed, where the system lets no more be opened."""
_SHORTEST_SHUTDOWN_S: Final = 0.1


class TlsServer:
    """One address.

    `asyncio.Server` would do the handshakes too, and tell nobody of those that fail or never end.
    """

    def __init__(self, owner: Owner, certificate: Certificate, limits: Limits) -> None:
        self._owner = owner
        self._certificate = certificate
        self._limits = limits
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def start(self, host: str, port: int) -> int:
        """Take connections from now on; returns the port. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.create_server((host, port), family=family, backlog=BACKLOG)
        taken.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(taken), name="tls accept")
        return int(taken.getsockname()[1])

    async def stop(self) -> None:
        """Accept no more, and break off what is under way."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, taken: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with taken:
            while True:
                try:
                    plug, _ = await loop.sock_accept(taken)
                except ConnectionError:  # a client that is gone again
                    continue
                except OSError:  # too many open files
                    await asyncio.sleep(_NO_FILES_S)
                    continue
                handshake = loop.create_task(self._shake(plug), name="tls handshake")
                self._handshakes.add(handshake)
                handshake.add_done_callback(self._handshakes.discard)

    async def _shake(self, plug: socket.socket) -> None:
        connection = Connection(self._owner, self._limits)
        if not self._owner.opened(connection):
            self._give_up(connection, plug, Refusal.TOO_MANY_CONNECTIONS)
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                plug,
                ssl=self._certificate.context,
                ssl_handshake_timeout=self._limits.connect_timeout_s,
                ssl_shutdown_timeout=max(self._limits.linger_s, _SHORTEST_SHUTDOWN_S),
            )
        except OSError:  # ssl.SSLError is one, and so is a client that hangs up or takes too long
            self._give_up(connection, plug, Refusal.TLS)
        except asyncio.CancelledError:
            self._give_up(connection, plug, Refusal.SHUTTING_DOWN)
            raise

    def _give_up(self, connection: Connection, plug: socket.socket, refusal: Refusal) -> None:
        plug.close()
        self._owner.refused(refusal)
        self._owner.closed(connection)
