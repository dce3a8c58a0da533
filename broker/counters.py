"""What a listener has seen, in numbers: nothing here names a client or a topic."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict


class CounterSnapshot(TypedDict):
    """The counters at one moment. All but `connections`, `half_open` and `unacknowledged` only grow."""

    connections: int
    """Open now."""
    half_open: int
    """Of these, not admitted yet."""
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
    pauses: dict[str, int]
    """How often reading of a connection stopped, and why: its sender waits in TCP, and nothing is dropped."""
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
        self.pauses: Counter[str] = Counter()
        self.deaths = 0

    def snapshot(self, *, connections: int, half_open: int, unacknowledged: int) -> CounterSnapshot:
        """A copy that will not change."""
        return CounterSnapshot(
            connections=connections,
            half_open=half_open,
            connects=self.connects,
            refused=dict(self.refused),
            publications=self.publications,
            acknowledged=self.acknowledged,
            stale=self.stale,
            resent=self.resent,
            unacknowledged=unacknowledged,
            bytes=self.bytes,
            pauses=dict(self.pauses),
            deaths=self.deaths,
        )
