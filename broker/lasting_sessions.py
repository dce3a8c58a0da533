"""Which sessions outlive their connection: what CONNACK's Session Present flag is answered from."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from broker.packets import NEVER_EXPIRES

if TYPE_CHECKING:
    from collections.abc import Iterable


class LastingSessions:
    """Session ids with the time they end; a bounded number, the longest unused go first."""

    def __init__(self, most: int, remembered: Iterable[str] = ()) -> None:
        self._most = most
        self._ends = dict.fromkeys(remembered, inf)

    def keep(self, session: str, expiry_s: int, now: float) -> None:
        """The connection is gone; the session lasts for `expiry_s` (MQTT 5 section 3.1.2.11.2)."""
        self.forget(session)
        if expiry_s:
            self._ends[session] = inf if expiry_s == NEVER_EXPIRES else now + expiry_s
            if len(self._ends) > self._most:
                del self._ends[next(iter(self._ends))]

    def forget(self, session: str) -> None:
        """The client began anew, or the session is over."""
        self._ends.pop(session, None)

    def holds(self, session: str, now: float) -> bool:
        """Whether the session is still there."""
        return self._ends.get(session, -inf) > now
