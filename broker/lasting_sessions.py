"""Which sessions outlive their connection, and what belongs to them; CONNACK's Session Present says so."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from broker.packets import NEVER_EXPIRES
from broker.session_state import SessionState

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class _Lasting:
    ends: float
    state: SessionState


class LastingSessions:
    """Sessions without a connection, by id; a bounded number, the longest unused go first."""

    def __init__(self, most: int, remembered: Iterable[str] = ()) -> None:
        self._most = most
        self._sessions = {session: _Lasting(inf, SessionState()) for session in remembered}

    def keep(self, session: str, state: SessionState, expiry_s: int, now: float) -> None:
        """The connection is gone; the session lasts for `expiry_s` (MQTT 5 section 3.1.2.11.2)."""
        self._sessions.pop(session, None)
        if expiry_s:
            ends = inf if expiry_s == NEVER_EXPIRES else now + expiry_s
            self._sessions[session] = _Lasting(ends, state)
            if len(self._sessions) > self._most:
                del self._sessions[next(iter(self._sessions))]

    def take(self, session: str, now: float) -> SessionState | None:
        """What belongs to the session, for its next connection; None if there is none, or it is over."""
        found = self._sessions.pop(session, None)
        return found.state if found is not None and found.ends > now else None
