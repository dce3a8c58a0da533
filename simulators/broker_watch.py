"""Whether devices reach their broker: told once when one does not, and once when all do again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_GRACE_S: Final = 3.0
"""So long after a fault of the broker's, devices are still on their way back."""


@dataclass(frozen=True, slots=True)
class BrokerNews:
    """What became of the way to a broker."""

    is_away: bool
    client: str
    """Who was the first to be turned away, or the last to come back."""
    why: str = ""
    """What the system or the broker said; empty when it is back."""


class BrokerWatch:
    """Hears of each attempt of each client, and tells of the first failure and of the last return."""

    def __init__(
        self,
        tell: Callable[[BrokerNews], None] = lambda _news: None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._monotonic = tell, monotonic
        self._away: set[str] = set()
        self._quiet_until = 0.0

    def failed(self, client: str, why: str) -> None:
        """An attempt to connect came to nothing."""
        if self._monotonic() < self._quiet_until:
            return
        if not self._away:
            self._tell(BrokerNews(is_away=True, client=client, why=why))
        self._away.add(client)

    def reached(self, client: str) -> None:
        """A client is connected."""
        if client in self._away:
            self._away.remove(client)
            if not self._away:
                self._tell(BrokerNews(is_away=False, client=client))

    def expect_failures(self, *, is_over: bool = False) -> None:
        """From here until told that it is over, and a while longer, attempts fail because a fault makes them."""
        self._quiet_until = self._monotonic() + _GRACE_S if is_over else float("inf")
