"""Wills: what a connection leaves behind that ends without a goodbye. What they tell is that a device is gone.

Nothing is forwarded, so of a will's message only the topic counts: it says whose it is. Sources: OASIS MQTT 3.1.1
section 3.1.2.5, OASIS MQTT 5.0 sections 3.1.2.5 and 3.1.3.2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from broker.packets import NEVER_EXPIRES

if TYPE_CHECKING:
    from broker.packets import Will


@dataclass(frozen=True, slots=True)
class Presence:
    """That a device is gone, as its will had it, or that it is back after that: an event, never a reading."""

    client: str
    """Its login."""
    topic: str
    """Of its will."""
    is_there: bool


PresenceHandler: TypeAlias = Callable[[Presence], None]
"""Called on the loop, once when a will comes into force and once when its device is back; must not block."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    client: str
    topic: str
    due: float


class Wills:
    """Of all sessions without a connection: those that wait for their time, and those that came into force."""

    def __init__(self, most: int, tell: PresenceHandler) -> None:
        """`most` bounds how many devices are remembered as gone; the longest gone are forgotten first."""
        self._most = most
        self._tell = tell
        self._waiting: dict[str, _Waiting] = {}
        # By login and topic too: many a client library makes up a client id for each connection.
        self._gone: dict[tuple[str, str], str] = {}
        self._topics: dict[str, tuple[str, str]] = {}

    @property
    def next_due(self) -> float:
        """When `pass_time` has something to do."""
        return min((waiting.due for waiting in self._waiting.values()), default=inf)

    def leave(self, session: str, client: str, will: Will, expiry_s: int, now: float) -> None:
        """A connection is gone and its will was not taken back. It waits for its delay, or the end of its session."""
        wait_s = will.delay_s if expiry_s == NEVER_EXPIRES else min(will.delay_s, expiry_s)
        self._waiting[session] = _Waiting(client, will.topic, now + wait_s)
        if not wait_s:
            self.end(session)

    def end(self, session: str) -> None:
        """The session is over, or its will has waited long enough: a will that waits comes into force."""
        waiting = self._waiting.pop(session, None)
        if waiting is None:
            return
        self._remember(session, (waiting.client, waiting.topic))
        self._tell(Presence(waiting.client, waiting.topic, is_there=False))

    def pass_time(self, now: float) -> None:
        """Let every will whose time has come into force."""
        for session in [session for session, waiting in self._waiting.items() if waiting.due <= now]:
            self.end(session)

    def come_back(self, session: str, client: str, will: Will | None) -> None:
        """A connection is admitted: a will that waits is taken back [MQTT-3.1.3-9], a device that was gone is back."""
        self._waiting.pop(session, None)
        for key in {self._topics.get(session), (client, will.topic) if will else None}:
            if key is not None and self._forget(key):
                self._tell(Presence(*key, is_there=True))

    def _remember(self, session: str, key: tuple[str, str]) -> None:
        self._forget(key)
        if len(self._gone) >= self._most:
            self._forget(next(iter(self._gone)))
        self._gone[key] = session
        self._topics[session] = key

    def _forget(self, key: tuple[str, str]) -> bool:
        session = self._gone.pop(key, None)
        if session is None:
            return False
        self._topics.pop(session, None)
        return True
