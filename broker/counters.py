"""What a listener has seen, in numbers: nothing here names a client or a topic."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict


class CounterSnapshot(TypedDict):
    """The counters at one moment. All but `connections` and `unacknowledged` only grow."""

    connections: int
    """Open now."""
    connects: int
    """Clients admitted since the start."""
    refused: dict[str, int]
    """Why: connections ended, and publications or subscriptions refused on connections that go on."""
    publications: int
    """Handed to the handler."""
    acknowledged: int
    """Of these, named to `acknowledge` while the connection was there."""
    stale: int
    """Acknowledgements for connections that had gone."""
    resent: int
    """Publications sent again while the first copy still waited for its commit."""
    unacknowledged: int
    """Waiting for the commit now."""
    bytes: int
    """Received."""
    deaths: int
    """Wills that came into force: devices that went without a goodbye."""


class Counters:
    """The numbers as they grow."""

    def __init__(self) -> None:
        self.connects = 0
        self.refused: Counter[str] = Counter()
        self.publications = 0
        self.acknowledged = 0
        self.stale = 0
        self.resent = 0
        self.bytes = 0
        self.deaths = 0

    def snapshot(self, *, connections: int, unacknowledged: int) -> CounterSnapshot:
        """A copy that will not change."""
        return CounterSnapshot(
            connections=connections,
            connects=self.connects,
            refused=dict(self.refused),
            publications=self.publications,
            acknowledged=self.acknowledged,
            stale=self.stale,
            resent=self.resent,
            unacknowledged=unacknowledged,
            bytes=self.bytes,
            deaths=self.deaths,
        )
