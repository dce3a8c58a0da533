"""Proposals: what could be placed, and no more of it than placing needs. Bounded, whatever comes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from device_drivers.contract import Frame

MOST: Final = 256
"""Kept; the one that was heard of longest ago goes first."""
MOST_QUANTITIES: Final = 32
LARGEST: Final = 1 << 20
"""Bytes of one announcement; zigbee2mqtt lists all its devices in one."""
_READ_AT_ONCE: Final = 4 << 20
_READ_A_SECOND: Final = 64 << 10
"""Bytes that are looked into; beyond, announcements pass unread, and come again."""


class Source(enum.StrEnum):
    """How a device made itself known."""

    ZIGBEE2MQTT = "zigbee2mqtt"
    HOME_ASSISTANT = "home_assistant"
    SPARKPLUG = "sparkplug"
    CHIRPSTACK = "chirpstack"
    SERIAL = "serial"
    PJLINK = "pjlink"


class Transport(enum.StrEnum):
    """Where `address` would stand in a [[device]]."""

    MQTT = "mqtt"
    SERIAL = "serial"
    TCP = "tcp"


class Proposal(Struct, frozen=True):
    """A device that could be placed."""

    source: Source
    transport: Transport
    address: str
    """Its topic, its serial line or its host."""
    drivers: tuple[str, ...] = ()
    """Those that may read it, the likeliest first; empty where only a person can tell."""
    model: str = ""
    """As the driver spells it; empty where that is unknown, or the driver reads every model alike."""
    make: str = ""
    """Maker and model as the announcement has them."""
    quantities: tuple[str, ...] = ()
    """What it says that it measures."""


@dataclass(slots=True)
class Proposals:
    """What was announced by MQTT and belongs to no device of the configuration."""

    read: Callable[[Frame], Iterable[Proposal]]
    """Makes proposals of an announcement; gives none of any other message."""
    is_announcement: Callable[[str], bool]
    """Whether a topic is one that announcements have."""
    forgotten: int = 0
    """How many had to go for newer ones."""
    unread: int = 0
    """Announcements that passed unread, being too large or too many."""
    _found: dict[tuple[Source, str], Proposal] = field(default_factory=dict)
    _left: int = _READ_AT_ONCE
    _looked_ms: int = 0

    def notice(self, frame: Frame, received_ms: int) -> None:
        """A message came that is no device's."""
        if not self.is_announcement(frame.topic):
            return
        size = len(frame.payload)
        passed_ms = max(0, received_ms - self._looked_ms)
        self._looked_ms = received_ms
        self._left = min(_READ_AT_ONCE, self._left + passed_ms * _READ_A_SECOND // 1000)
        if size > LARGEST or size > self._left:
            self.unread += 1
            return
        self._left -= size
        for proposal in self.read(frame):
            self._keep(proposal)

    def unplaced(self, device_at: Callable[[str], str]) -> list[Proposal]:
        """Those whose topic is no device's, in the order in which they were heard of first."""
        return [each for each in self._found.values() if not device_at(each.address.removesuffix("/#"))]

    def _keep(self, proposal: Proposal) -> None:
        key = proposal.source, proposal.address
        known = self._found.pop(key, None)
        if known is not None:
            together = dict.fromkeys((*known.quantities, *proposal.quantities))
            quantities = tuple(together)[:MOST_QUANTITIES]
            proposal = Proposal(
                proposal.source,
                proposal.transport,
                proposal.address,
                proposal.drivers,
                proposal.model or known.model,
                proposal.make or known.make,
                quantities,
            )
        elif len(self._found) >= MOST:
            del self._found[next(iter(self._found))]
            self.forgotten += 1
        self._found[key] = proposal
