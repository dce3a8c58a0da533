"""Admits the listener's connections, hands on what they bring, and returns the acknowledgements to them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from broker.connection import Hold
from broker.counters import Counters, CounterSnapshot
from broker.lasting_sessions import LastingSessions
from broker.outcome import Admission, Outcome
from broker.publications import Publications
from broker.refusals import Refusal
from broker.session_state import SessionState
from broker.wills import Wills

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from broker.connection import Connection
    from broker.credentials import Credentials
    from broker.limits import Limits
    from broker.packets import Connect
    from broker.publications import PublicationHandler
    from broker.wills import Presence, PresenceHandler

_log = logging.getLogger(__name__)


class FrontDesk:
    """Who is connected, and what of theirs waits for its commit: the `Owner` of every connection."""

    def __init__(
        self,
        credentials: Credentials,
        handler: PublicationHandler,
        limits: Limits,
        *,
        remembered: Mapping[str, Iterable[int]],
        presence: PresenceHandler,
        name_session: Callable[[str], str],
    ) -> None:
        self._credentials = credentials
        self._handler = handler
        self._limits = limits
        self._connections: set[Connection] = set()
        self._by_generation: dict[int, Connection] = {}
        self._by_session: dict[str, Connection] = {}
        self._of_client: Counter[str] = Counter()
        self._sessions = LastingSessions(4 * limits.max_connections, self._over, remembered)
        self._presence = presence
        self._name_session = name_session
        self._wills = Wills(4 * limits.max_connections, self._told)
        self._wills_timer: asyncio.TimerHandle | None = None
        self._is_leaving = False
        self._generation = 0
        self._waiting: dict[Connection, int] = {}
        self._waiting_total = 0
        self._held: set[Connection] = set()
        self._owner_holds = False
        self._counters = Counters()
        self._logged: set[Refusal] = set()
        self._emptied = asyncio.Event()
        self._checker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bansui-login")
        self._checks = 0

    @property
    def counters(self) -> CounterSnapshot:
        """The counters as they are now."""
        return self._counters.snapshot(
            connections=len(self._connections),
            half_open=len(self._connections) - len(self._by_generation),
            unacknowledged=self._waiting_total,
        )

    def acknowledge(self, publications: Publications) -> None:
        """Give the connection its acknowledgements; those of a connection that has gone are dropped."""
        packet_ids = list(publications.packet_ids)
        if publications.exchanges is not None:
            publications.exchanges.settle(publications.steps)
        connection = self._by_generation.get(publications.generation)
        if connection is None or connection.ending:
            self._counters.stale += len(packet_ids)
            return
        self._counters.acknowledged += connection.acknowledge(packet_ids, publications.steps)
        self._recount(connection)

    def publish(self, topic: str, payload: bytes, *, heard_at: str) -> bool:
        """Part of `Listener`."""
        acl = self._credentials.acl
        told = [
            connection.tell(topic, payload)
            for connection in self._by_generation.values()
            if acl.may_publish(connection.client, heard_at) and acl.may_receive(connection.client, topic)
        ]
        return any(told)

    def hold(self) -> None:
        """Read from none of them; logins go on, so that nobody takes the silence for a fault."""
        self._owner_holds = True
        for connection in self._by_generation.values():
            connection.hold(Hold.OWNER)

    def resume(self) -> None:
        """Read from all of them again."""
        self._owner_holds = False
        for connection in self._by_generation.values():
            connection.release(Hold.OWNER)

    async def send_away(self) -> None:
        """End every connection, and wait until all are gone. No will comes into force: it is we who go."""
        self._is_leaving = True
        self._emptied.clear()
        for connection in tuple(self._connections):
            connection.refuse(Refusal.SHUTTING_DOWN)
        if self._connections:
            await self._emptied.wait()
        if self._wills_timer is not None:
            self._wills_timer.cancel()
        self._checker.shutdown(cancel_futures=True)

    def opened(self, connection: Connection) -> bool:
        """Part of `Owner`."""
        if connection in self._connections:
            return True  # it has had its place since its handshake began
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
        if self._checks >= self._limits.max_connections:
            connection.refuse(Refusal.BUSY)
            return
        self._checks += 1
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
        if outcome.refused_filters:
            self._note(Refusal.SUBSCRIPTION, outcome.refused_filters)
        self._recount(connection)
        if outcome.publications and self._waiting_total >= self._limits.max_unacknowledged_total:
            connection.hold(Hold.TOTAL)
            self._held.add(connection)
        if outcome.publications or outcome.steps:
            exchanges = connection.session.state.exchanges if outcome.steps else None
            session, generation = connection.session_id, connection.generation
            self._handler(Publications(session, generation, outcome.publications, outcome.steps, exchanges))

    def refused(self, refusal: Refusal) -> None:
        """Part of `Owner`."""
        self._note(refusal)

    def held(self, why: Hold) -> None:
        """Part of `Owner`."""
        if why is not Hold.LOGIN:
            assert why.name is not None
            self._counters.pauses[why.name.lower()] += 1

    def closed(self, connection: Connection) -> None:
        """Part of `Owner`."""
        self._connections.discard(connection)
        self._by_generation.pop(connection.generation, None)
        self._waiting_total -= self._waiting.pop(connection, 0)
        self._held.discard(connection)
        self._relieve()
        if self._by_session.get(connection.session_id) is connection:
            del self._by_session[connection.session_id]
            self._part(connection, asyncio.get_running_loop().time())
        if not self._connections:
            self._emptied.set()

    def _checked(self, connection: Connection, connect: Connect, checked: asyncio.Future[bool]) -> None:
        self._checks -= 1
        if not checked.cancelled() and not connection.ending:
            self._decide(connection, connect, granted=checked.result())

    def _decide(self, connection: Connection, connect: Connect, *, granted: bool) -> None:
        if not granted:
            connection.refuse(Refusal.CREDENTIALS)
            return
        client, now = connect.username or "", asyncio.get_running_loop().time()
        acl = self._credentials.acl
        if connect.will is not None and not acl.may_publish(client, connect.will.topic):
            connection.refuse(Refusal.NOT_AUTHORIZED)
            return
        assigned = "" if connect.client_id else f"auto-{secrets.token_hex(8)}"
        session = self._name_session(f"{client}/{connect.client_id or assigned}")
        if session not in self._by_session and self._of_client[client] >= self._limits.max_connections_per_client:
            connection.refuse(Refusal.TOO_MANY_OF_CLIENT)
            return
        kept = self._take_over(session, now)
        if connect.clean_start and kept is not None:
            self._over(session, kept)
            kept = None
        self._wills.come_back(session, client, connect.will)
        self._generation += 1
        self._by_generation[self._generation] = connection
        self._by_session[session] = connection
        self._of_client[client] += 1
        self._counters.connects += 1
        connection.admit(
            Admission(
                client=client,
                session=session,
                generation=self._generation,
                may_publish=acl.publisher(client),
                may_subscribe=acl.subscriber(client),
                state=kept or SessionState(),
                session_present=kept is not None,
                assigned_client_id=assigned,
            )
        )
        if self._owner_holds:
            connection.hold(Hold.OWNER)

    def _over(self, session: str, state: SessionState) -> None:
        """A session is over: its will waits no longer, and its owner need not keep its packet ids."""
        self._wills.end(session)
        if steps := state.exchanges.ending():
            self._handler(Publications(session, 0, (), steps, state.exchanges))

    def _take_over(self, session: str, now: float) -> SessionState | None:
        """End the session's older connection [MQTT-3.1.4-3]; what belongs to the session, if it goes on."""
        older = self._by_session.pop(session, None)
        if older is not None:
            self._part(older, now)
            older.refuse(Refusal.TAKEN_OVER)
        return self._sessions.take(session, now)

    def _part(self, connection: Connection, now: float) -> None:
        """A session has lost its connection: keep what outlives it, and see to its will."""
        client, session_id, session = connection.client, connection.session_id, connection.session
        self._of_client[client] -= 1
        if session.will is not None and not self._is_leaving:
            self._wills.leave(session_id, client, session.will, session.session_expiry_s, now)
        self._sessions.keep(session_id, session.state, session.session_expiry_s, now)
        self._watch_wills()

    def _watch_wills(self) -> None:
        if self._wills_timer is not None:
            self._wills_timer.cancel()
        due = self._wills.next_due
        self._wills_timer = asyncio.get_running_loop().call_at(due, self._pass_time) if due < inf else None

    def _pass_time(self) -> None:
        self._wills.pass_time(asyncio.get_running_loop().time())
        self._watch_wills()

    def _told(self, presence: Presence) -> None:
        self._counters.deaths += not presence.is_there
        self._presence(presence)

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
        if refusal not in self._logged and refusal is not Refusal.SHUTTING_DOWN:
            self._logged.add(refusal)
            _log.warning("refused for the first time: %s; from now on it is only counted", refusal.word)
