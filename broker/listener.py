"""The durable listener: devices connect to the agent itself, and PUBACK means that their message is on disk."""

from __future__ import annotations

import asyncio
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from broker.connection import Connection, Hold
from broker.counters import Counters, CounterSnapshot
from broker.lasting_sessions import LastingSessions
from broker.limits import Limits
from broker.ports import bind_fault
from broker.refusals import Refusal
from broker.session import Admission, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.credentials import Credentials
    from broker.packets import Connect
    from broker.publications import AckToken, PublicationHandler

_log = logging.getLogger(__name__)


class Listener:
    """An MQTT 3.1.1 and 5.0 endpoint that takes messages in and hands none out.

    `handler` is called on the loop with all that one read brought, and must not block. What it was given with a
    token is acknowledged to the device when, and only when, the token comes back through `acknowledge`.
    `remembered` are the ids of sessions that the owner knows from before this process: their devices are told so,
    and send again what had no PUBACK.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        credentials: Credentials,
        handler: PublicationHandler,
        limits: Limits | None = None,
        remembered: Iterable[str] = (),
    ) -> None:
        self._host = host
        self._port = port
        self._credentials = credentials
        self._handler = handler
        self._limits = limits or Limits()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._by_generation: dict[int, Connection] = {}
        self._by_session: dict[str, Connection] = {}
        self._sessions = LastingSessions(4 * self._limits.max_connections, remembered)
        self._generation = 0
        self._waiting: dict[Connection, int] = {}
        self._waiting_total = 0
        self._held: set[Connection] = set()
        self._counters = Counters()
        self._logged: set[str] = set()
        self._emptied = asyncio.Event()
        self._checker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bansui-login")

    async def start(self) -> None:
        """Take connections from now on. Raises `PortTaken` or `PortUnavailable`."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self, self._limits), self._host, self._port, backlog=512
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
        return self._counters.snapshot(connections=len(self._connections), unacknowledged=self._waiting_total)

    def acknowledge(self, tokens: Iterable[AckToken]) -> None:
        """These are on disk: send their PUBACKs, one write per connection; tokens of past connections are dropped."""
        by_generation: dict[int, list[int]] = {}
        for token in tokens:
            packet_ids = by_generation.get(token.generation)
            if packet_ids is None:
                by_generation[token.generation] = [token.packet_id]
            else:
                packet_ids.append(token.packet_id)
        for generation, packet_ids in by_generation.items():
            connection = self._by_generation.get(generation)
            if connection is None or connection.ending:
                self._counters.stale += len(packet_ids)
                continue
            self._counters.acknowledged += len(packet_ids)
            connection.acknowledge(packet_ids)
            self._recount(connection)

    async def stop(self) -> None:
        """Send everybody away and free the port; what was handed on and not acknowledged comes again, elsewhere."""
        if self._server is None:
            return
        self._server.close()
        self._emptied.clear()
        for connection in tuple(self._connections):
            connection.refuse(Refusal.SHUTTING_DOWN)
        if self._connections:
            await self._emptied.wait()
        await self._server.wait_closed()
        self._server = None
        self._checker.shutdown(cancel_futures=True)

    def opened(self, connection: Connection) -> bool:
        """Part of `Owner`."""
        self._connections.add(connection)
        return len(self._connections) <= self._limits.max_connections

    def login(self, connection: Connection, connect: Connect) -> None:
        """Part of `Owner`."""
        if connect.username is None or connect.password is None:
            connection.refuse(Refusal.CREDENTIALS)
            return
        verdict = self._credentials.recall(connect.username, connect.password)
        if verdict is not None:
            self._decide(connection, connect, granted=verdict)
            return
        checked = asyncio.get_running_loop().run_in_executor(
            self._checker, self._credentials.verify, connect.username, connect.password
        )
        checked.add_done_callback(partial(self._checked, connection, connect))

    def deliver(self, connection: Connection, outcome: Outcome, received: int) -> None:
        """Part of `Owner`."""
        counters = self._counters
        counters.bytes += received
        counters.publications += len(outcome.publications)
        counters.resent += outcome.resent
        if outcome.denied and outcome.refusal is not Refusal.NOT_AUTHORIZED:
            self._note(Refusal.NOT_AUTHORIZED, outcome.denied)
        if outcome.subscriptions:
            self._note(Refusal.SUBSCRIPTION, outcome.subscriptions)
        self._recount(connection)
        if outcome.publications and self._waiting_total >= self._limits.max_unacknowledged_total:
            connection.hold(Hold.TOTAL)
            self._held.add(connection)
        if outcome.publications:
            self._handler(outcome.publications)

    def refused(self, refusal: Refusal) -> None:
        """Part of `Owner`."""
        self._note(refusal)

    def closed(self, connection: Connection) -> None:
        """Part of `Owner`."""
        self._connections.discard(connection)
        self._by_generation.pop(connection.generation, None)
        self._waiting_total -= self._waiting.pop(connection, 0)
        self._held.discard(connection)
        self._relieve()
        if self._by_session.get(connection.session_id) is connection:
            del self._by_session[connection.session_id]
            now = asyncio.get_running_loop().time()
            self._sessions.keep(connection.session_id, connection.session.session_expiry_s, now)
            self._counters.deaths += connection.session.will_pending
        if not self._connections:
            self._emptied.set()

    def _checked(self, connection: Connection, connect: Connect, checked: asyncio.Future[bool]) -> None:
        if not checked.cancelled() and not connection.ending:
            self._decide(connection, connect, granted=checked.result())

    def _decide(self, connection: Connection, connect: Connect, *, granted: bool) -> None:
        if not granted:
            connection.refuse(Refusal.CREDENTIALS)
            return
        client, now = connect.username or "", asyncio.get_running_loop().time()
        assigned = "" if connect.client_id else f"auto-{secrets.token_hex(8)}"
        session = f"{client}/{connect.client_id or assigned}"
        present = self._take_over(session, now) and not connect.clean_start
        if connect.clean_start:
            self._sessions.forget(session)
        self._generation += 1
        self._by_generation[self._generation] = connection
        self._by_session[session] = connection
        self._counters.connects += 1
        may_publish = self._credentials.acl.publisher(client)
        connection.admit(Admission(session, self._generation, may_publish, present, assigned))

    def _take_over(self, session: str, now: float) -> bool:
        """End the session's older connection [MQTT-3.1.4-3]; whether there is a session to carry on."""
        older = self._by_session.pop(session, None)
        if older is not None:
            self._sessions.keep(session, older.session.session_expiry_s, now)
            older.refuse(Refusal.TAKEN_OVER)
        return self._sessions.holds(session, now)

    def _recount(self, connection: Connection) -> None:
        waiting = connection.session.unacknowledged
        self._waiting_total += waiting - self._waiting.get(connection, 0)
        self._waiting[connection] = waiting
        self._relieve()

    def _relieve(self) -> None:
        if self._held and self._waiting_total < self._limits.max_unacknowledged_total:
            for connection in self._held:
                connection.release(Hold.TOTAL)
            self._held.clear()

    def _note(self, refusal: Refusal, count: int = 1) -> None:
        self._counters.refused[refusal.word] += count
        if refusal.word not in self._logged and refusal is not Refusal.SHUTTING_DOWN:
            self._logged.add(refusal.word)
            _log.warning("refused for the first time: %s; from now on it is only counted", refusal.word)
