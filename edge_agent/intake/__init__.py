"""Bytes in, nothing understood: the listener, the subscriber, serial lines, serial and TCP polls, programs."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from edge_agent.events import Batch
from edge_agent.intake.availability import Availability

Deliver: TypeAlias = Callable[[Batch], None]
"""How an intake hands on what it took in; called on the loop, never blocks."""


class DeviceIntake(Protocol):
    """An intake that goes to its devices, rather than wait for them."""

    @property
    def availabilities(self) -> Sequence[Availability]:
        """Of each device it serves."""
        ...

    async def run(self) -> None:
        """Take in until cancelled."""
        ...
