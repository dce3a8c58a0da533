"""What a device published, as the agent takes it over, and the promise that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from broker.exchanges import Exchanges


class Publication(Struct, frozen=True, gc=False):
    """One PUBLISH, as it came: there is one of these for every message."""

    topic: str
    payload: bytes
    packet_id: int = 0
    """By which it is acknowledged; 0 at QoS 0, where there is nothing to acknowledge."""
    duplicate: bool = False
    """The DUP flag: the device may have sent this before."""
    retained: bool = False


class Publications(Struct, frozen=True, eq=False, gc=False):
    """What one read of one connection brought; to be handed back, as it is, once all of it is on disk.

    `generation` counts connections, so an acknowledgement that comes after a reconnect is dropped, not sent to a
    packet id that by then means another message.
    """

    session: str
    generation: int
    items: Sequence[Publication]
    steps: Sequence[int] = ()
    """Of QoS 2: packet ids of items that are taken over, negative ones of those given free; on disk with the items."""
    exchanges: Exchanges | None = None
    """Whose steps they are."""

    @property
    def packet_ids(self) -> Iterator[int]:
        """Of those that are to be acknowledged."""
        return (item.packet_id for item in self.items if item.packet_id)


PublicationHandler: TypeAlias = Callable[[Publications], None]
"""Called on the loop with everything that one read brought; must not block. The acknowledgement comes later,
through `acknowledge`, when the handler's owner has committed."""
