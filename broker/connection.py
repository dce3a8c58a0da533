"""A session on a TCP connection: writes what it answers, times its silence, and reads no faster than it may."""

from __future__ import annotations

import asyncio
import socket
from enum import Flag, auto
from math import inf
from typing import TYPE_CHECKING, Protocol, cast

from broker.limits import Limits, TokenBucket
from broker.refusals import Refusal
from broker.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.outcome import Admission, Outcome
    from broker.packets import Connect

# While reading is paused, silence proves nothing; look again after this long.
_LOOK_AGAIN_S = 1.0


class Hold(Flag):
    """Why a connection is not being read: the sender then waits in TCP, and nothing is dropped."""

    NOTHING = 0
    LOGIN = auto()
    """Its password is being checked."""
    UNACKNOWLEDGED = auto()
    """Too many of its publications wait for the commit."""
    TOTAL = auto()
    """Too many of everybody's publications wait for the commit."""
    RATE = auto()
    """It sends more packets a second than it may."""
    OWNER = auto()
    """Whoever the publications are for takes none at present."""
    ANSWERS = auto()
    """It does not read its PUBACKs."""


class Owner(Protocol):
    """What the listener is to its connections. All calls come on the loop, and none may block."""

    def opened(self, connection: Connection) -> bool:
        """A client has connected, or begins to by TLS; False if there is no room for it."""
        ...

    def login(self, connection: Connection, connect: Connect) -> None:
        """A client wants in: `admit` or `refuse` it, now or later."""
        ...

    def deliver(self, connection: Connection, outcome: Outcome, received: int) -> None:
        """What one read of `received` bytes brought."""
        ...

    def refused(self, refusal: Refusal) -> None:
        """A connection ends for this reason."""
        ...

    def held(self, why: Hold) -> None:
        """A connection is not read for this reason, until it is released."""
        ...

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection(asyncio.Protocol):
    """One device's connection, from accept to close."""

    def __init__(self, owner: Owner, limits: Limits) -> None:
        self._owner = owner
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.session = Session(limits, now)
        self.client = ""
        """Its login, set once it is admitted, as is its session."""
        self.session_id = ""
        self.generation = 0
        self._bucket = TokenBucket(limits.publications_per_s, limits.publications_burst, now)
        self._holds = Hold.NOTHING
        self._ending = False
        self._timers: dict[str, asyncio.Handle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        # A device that lost power says nothing: TCP finds out, also for those without an MQTT keep-alive.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._owner.opened(self):
            self._watch()
        else:
            self.refuse(Refusal.TOO_MANY_CONNECTIONS)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        if not self._ending:
            self._apply(self.session.receive(data, self._loop.time()), len(data))

    def connection_lost(self, _exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._ending = True
        for timer in self._timers.values():
            timer.cancel()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self.hold(Hold.ANSWERS)

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self.release(Hold.ANSWERS)

    @property
    def ending(self) -> bool:
        """Whether nothing more is taken from this client."""
        return self._ending

    def admit(self, admission: Admission) -> None:
        """Let the client in."""
        self.client = admission.client
        self.session_id = admission.session
        self.generation = admission.generation
        self._apply(self.session.admit(admission, self._loop.time()), 0)
        self.release(Hold.LOGIN)
        self._watch()

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client why, in as far as MQTT can say it, and end the connection."""
        if not self._ending:
            reply = self.session.refuse(refusal)
            self._owner.refused(refusal)
            self._end(reply)

    def acknowledge(self, packet_ids: Iterable[int], steps: Iterable[int]) -> int:
        """Send the answers for what is on disk in one write, let reading go on; how many packets were waiting."""
        found, answers = self.session.acknowledge(packet_ids, steps)
        if answers and not self._ending:
            self._transport.write(answers)
        if not self.session.must_wait:
            self.release(Hold.UNACKNOWLEDGED)
        return found

    def tell(self, topic: str, payload: bytes) -> bool:
        """Publish to the client; False if it has not subscribed to that, or takes nothing more at present."""
        told = self.session.tell(topic, payload)
        is_taken = bool(told) and not (self._ending or Hold.ANSWERS in self._holds)
        if is_taken:
            self._transport.write(told)
        return is_taken

    def hold(self, why: Hold) -> None:
        """Stop reading until every hold is released."""
        if not self._holds and not self._ending:
            self._transport.pause_reading()
        if why not in self._holds:
            self._owner.held(why)
        self._holds |= why

    def release(self, why: Hold) -> None:
        """Take one hold away."""
        if self._holds & why:
            self._holds &= ~why
            self._proceed()

    def _proceed(self) -> None:
        """Read on if nothing holds; what was read already and had to wait comes first."""
        if self._holds or self._ending:
            return
        if self.session.has_backlog:
            self._transport.pause_reading()
            if "backlog" not in self._timers:
                self._timers["backlog"] = self._loop.call_soon(self._read_backlog)
            return
        self.session.resume(self._loop.time())
        self._transport.resume_reading()

    def _read_backlog(self) -> None:
        del self._timers["backlog"]
        if not self._holds and not self._ending:
            self._apply(self.session.go_on(self._loop.time()), 0)
            self._proceed()

    def _apply(self, outcome: Outcome, received: int) -> None:
        reply = outcome.reply
        if reply and not outcome.ended:
            self._transport.write(reply)
        if outcome.refusal is not None:
            self._owner.refused(outcome.refusal)
        if outcome.ended:
            self._end(reply)
        self._owner.deliver(self, outcome, received)
        if outcome.login is not None:
            self.hold(Hold.LOGIN)
            self._owner.login(self, outcome.login)
        elif (outcome.publications or outcome.requests) and not self._ending:
            self._regulate(len(outcome.publications) + outcome.requests)
        if self.session.has_backlog:
            self._proceed()

    def _regulate(self, count: int) -> None:
        if self.session.must_wait:
            self.hold(Hold.UNACKNOWLEDGED)
        wait_s = self._bucket.spend(count, self._loop.time())
        if wait_s:
            self.hold(Hold.RATE)
            self._timers["rate"] = self._loop.call_later(wait_s, self.release, Hold.RATE)

    def _watch(self) -> None:
        """End the connection when its time is up; one timer, re-armed when it fires and not at every packet."""
        if self._ending:
            return
        if armed := self._timers.pop("silence", None):
            armed.cancel()
        now, deadline = self._loop.time(), self.session.deadline
        if self._holds:
            deadline = now + _LOOK_AGAIN_S
        elif now >= deadline:
            self.refuse(Refusal.KEEP_ALIVE if self.session.is_open else Refusal.CONNECT_TIMEOUT)
            return
        if deadline < inf:
            self._timers["silence"] = self._loop.call_at(deadline, self._watch)

    def _end(self, reply: bytes) -> None:
        """Send the last words and close; a moment of reading on, unheard, lets them arrive before a TCP reset."""
        self._ending = True
        if reply:
            self._transport.write(reply)
        try:
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()  # TLS has a goodbye of its own, and waits for the peer's
        except OSError:  # the peer has gone already
            self._transport.abort()
            return
        self._transport.resume_reading()
        self._timers["linger"] = self._loop.call_later(self._limits.linger_s, self._transport.abort)
