"""The durable listener: devices connect to the agent itself, and PUBACK means that their message is on disk."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.front_desk import FrontDesk
from broker.limits import Limits
from broker.open_files import make_room
from broker.ports import bind_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from broker.counters import CounterSnapshot
    from broker.credentials import Credentials
    from broker.publications import PublicationHandler, Publications
    from broker.wills import PresenceHandler


class Listener:
    """An MQTT 3.1.1 and 5.0 endpoint that takes messages in and forwards none.

    `handler` is called on the loop with all that one read brought, and must not block. What it was given is
    acknowledged to the device when, and only when, it comes back through `acknowledge`.
    `remembered` are the sessions that the owner knows from before this process, with the packet ids at QoS 2 that are
    on disk and not given free: their devices are told so, and send again what had no answer.
    `presence` is told of devices that went without a goodbye, and of those that are back after that.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        credentials: Credentials,
        handler: PublicationHandler,
        limits: Limits | None = None,
        remembered: Mapping[str, Iterable[int]] = MappingProxyType({}),
        presence: PresenceHandler = lambda _presence: None,
    ) -> None:
        self._host = host
        self._port = port
        self.limits = limits or Limits()
        self._desk = FrontDesk(credentials, handler, self.limits, remembered, presence)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Take connections from now on. Raises `PortTaken` or `PortUnavailable`."""
        make_room(self.limits.max_connections)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._desk, self.limits), self._host, self._port, backlog=512
            )
        except OSError as error:
            raise bind_fault(self._host, self._port, error) from None

    @property
    def port(self) -> int:
        """The port taken: where 0 was asked for, the one the system gave."""
        assert self._server is not None, "the listener is not started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def counters(self) -> CounterSnapshot:
        """The counters as they are now."""
        return self._desk.counters

    def acknowledge(self, publications: Publications) -> None:
        """These are on disk: send their PUBACKs, PUBRECs and PUBCOMPs, in one write.

        PUBACKs go in the order in which the publications came; those of past connections are dropped.
        """
        self._desk.acknowledge(publications)

    def hold(self) -> None:
        """Read from nobody until `resume`: devices wait, and lose nothing."""
        self._desk.hold()

    def resume(self) -> None:
        """Read on."""
        self._desk.resume()

    async def stop(self) -> None:
        """Send everybody away and free the port; what was handed on and not acknowledged will be sent again."""
        if self._server is not None:
            self._server.close()
            await self._desk.send_away()
            await self._server.wait_closed()
            self._server = None
