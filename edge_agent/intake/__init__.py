"""Bytes in, nothing understood: the listener, the subscriber, serial lines and TCP polls."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from edge_agent.events import Arrival

Deliver: TypeAlias = Callable[[Sequence[Arrival]], None]
"""How an intake hands on what it took in; called on the loop, never blocks."""
