"""The durable listener: devices connect to the agent itself, and PUBACK means that their message is on disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from broker.connection import Connection
from broker.front_desk import FrontDesk
from broker.limits import Limits
from broker.open_files import make_room
from broker.ports import PortTaken, bind_fault
from broker.tls import Certificate
from broker.tls_server import BACKLOG, TlsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from broker.counters import CounterSnapshot
    from broker.credentials import Credentials
    from broker.publications import PublicationHandler, Publications
    from broker.tls import TlsFiles
    from broker.wills import PresenceHandler

RENEW_EVERY_S: Final = 60.0
"""How soon a changed certificate is shown."""
_TRIES: Final = 10
"""Free ports of the first host that are tried for one that is free at every other, too."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the listener listens. A port of 0 takes a free one, the same at every host."""

    hosts: Sequence[str]
    """Of this machine, IPv4 or IPv6; `0.0.0.0` is every IPv4 address and `::` every IPv6 one."""
    port: int | None = 0
    """Without TLS; None for none."""
    tls_port: int | None = None
    """With TLS; None for none."""


class Listener:
    """An MQTT 3.1.1 and 5.0 endpoint that takes messages in and forwards none; its owner alone may publish.

    `handler` is called on the loop with all that one read brought, and must not block. What it was given is
    acknowledged to the device when, and only when, it comes back through `acknowledge`.
    `remembered` are the sessions that the owner knows from before this process, with the packet ids at QoS 2 that are
    on disk and not given free: their devices are told so, and send again what had no answer.
    `name_session` makes of login and client id what the session is called in all that `handler` is given, and in
    `remembered`.
    `presence` is told of devices that went without a goodbye, and of those that are back after that.
    `tls` has to be given where there is a port for it. Raises `CertificateUnusable`.
    """

    def __init__(
        self,
        addresses: Addresses,
        *,
        credentials: Credentials,
        handler: PublicationHandler,
        limits: Limits | None = None,
        remembered: Mapping[str, Iterable[int]] = MappingProxyType({}),
        presence: PresenceHandler = lambda _presence: None,
        name_session: Callable[[str], str] = lambda session: session,
        tls: TlsFiles | None = None,
    ) -> None:
        self._addresses = addresses
        self.limits = limits or Limits()
        self._desk = FrontDesk(
            credentials,
            handler,
            self.limits,
            remembered=remembered,
            presence=presence,
            name_session=name_session,
        )
        self._certificate = Certificate(tls) if tls is not None else None
        self._servers: list[asyncio.Server] = []
        self._tls_servers: list[TlsServer] = []
        self.port = 0
        """The port taken, without TLS: where 0 was asked for, the one the system gave. 0 for none."""
        self.tls_port = 0
        """The same with TLS."""
        self._renewal: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Take connections from now on. Raises `PortTaken` or `PortUnavailable`; then none are taken anywhere."""
        make_room(self.limits.max_connections)
        is_any = 0 in (self._addresses.port, self._addresses.tls_port)
        for others in reversed(range(_TRIES if is_any else 1)):
            try:
                await self._listen(self._addresses.port, self._addresses.tls_port)
            except BaseException as error:
                await self._close()
                if not (isinstance(error, PortTaken) and others):
                    raise
            else:
                break
        if self._certificate is not None:
            self._renew()

    @property
    def counters(self) -> CounterSnapshot:
        """The counters as they are now."""
        return self._desk.counters

    def acknowledge(self, publications: Publications) -> None:
        """These are on disk: send their PUBACKs, PUBRECs and PUBCOMPs, in one write.

        PUBACKs go in the order in which the publications came; those of past connections are dropped.
        """
        self._desk.acknowledge(publications)

    def publish(self, topic: str, payload: bytes, *, heard_at: str) -> bool:
        """Tell whoever may publish to `heard_at` and has subscribed to `topic`, at QoS 0, not retained.

        Returns whether there was anybody.
        """
        return self._desk.publish(topic, payload, heard_at=heard_at)

    def hold(self) -> None:
        """Read from nobody until `resume`: devices wait, and lose nothing."""
        self._desk.hold()

    def resume(self) -> None:
        """Read on."""
        self._desk.resume()

    async def stop(self) -> None:
        """Send everybody away and free the ports; what was handed on and not acknowledged will be sent again."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self._servers or self._tls_servers:
            for server in self._servers:
                server.close()
            for tls_server in self._tls_servers:
                await tls_server.stop()
            await self._desk.send_away()
            await self._close()

    async def _listen(self, port: int | None, tls_port: int | None) -> None:
        for host in self._addresses.hosts:
            if port is not None:
                port = self.port = await self._serve(host, port)
            if tls_port is not None:
                tls_port = self.tls_port = self._serve_tls(host, tls_port)

    async def _serve(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: Connection(self._desk, self.limits), host, port, backlog=BACKLOG)
        except OSError as error:
            raise bind_fault(host, port, error) from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _serve_tls(self, host: str, port: int) -> int:
        assert self._certificate is not None, "a port with TLS and no certificate"
        server = TlsServer(self._desk, self._certificate, self.limits)
        try:
            taken = server.start(host, port)
        except OSError as error:
            raise bind_fault(host, port, error) from None
        self._tls_servers.append(server)
        return taken

    async def _close(self) -> None:
        for tls_server in self._tls_servers:
            await tls_server.stop()
        for server in self._servers:
            server.close()
            await server.wait_closed()
        self._tls_servers.clear()
        self._servers.clear()

    def _renew(self) -> None:
        assert self._certificate is not None
        self._certificate.renew()
        self._renewal = asyncio.get_running_loop().call_later(RENEW_EVERY_S, self._renew)
