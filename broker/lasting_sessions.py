"""Which sessions outlive their connection, and what belongs to them; CONNACK's Session Present says so."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from broker.exchanges import Exchanges
from broker.packets import NEVER_EXPIRES
from broker.session_state import SessionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class _Lasting:
    ends: float
    state: SessionState


class LastingSessions:
    """Sessions without a connection, by id; a bounded number, the longest unused go first."""

    def __init__(
        self,
        most: int,
        over: Callable[[str, SessionState], None],
        remembered: Mapping[str, Iterable[int]] = MappingProxyType({}),
    ) -> None:
        """`over` is called with each session that ends; `remembered` are sessions with their open packet ids."""
        self._most = most
        self._over = over
        self._sessions = {
            session: _Lasting(inf, SessionState(exchanges=Exchanges(opened))) for session, opened in remembered.items()
        }

    def keep(self, session: str, state: SessionState, expiry_s: int, now: float) -> None:
        """The connection is gone; the session lasts for `expiry_s` (MQTT 5 section 3.1.2.11.2)."""
        if not expiry_s:
            self._over(session, state)
            return
        ends = inf if expiry_s == NEVER_EXPIRES else now + expiry_s
        self._sessions[session] = _Lasting(ends, state)
        if len(self._sessions) > self._most:
            longest = next(iter(self._sessions))
            self._over(longest, self._sessions.pop(longest).state)

    def take(self, session: str, now: float) -> SessionState | None:
        """What belongs to the session, for its next connection; None if there is none, or it is over."""
        found = self._sessions.pop(session, None)
        if found is None:
            return None
        if found.ends > now:
            return found.state
        self._over(session, found.state)
        return None
