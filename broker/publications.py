"""What a device published, as the agent takes it over, and the promise that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias


class AckToken(NamedTuple):
    """What to hand back once a publication is on disk: which connection, which packet.

    `generation` counts connections, so an acknowledgement that comes after a reconnect is dropped, not sent to a
    packet id that by then means another message.
    """

    session: str
    generation: int
    packet_id: int


class Publication(NamedTuple):
    """One PUBLISH. `token` is None at QoS 0: there is nothing to acknowledge."""

    session: str
    topic: str
    payload: bytes
    token: AckToken | None = None
    duplicate: bool = False
    """The DUP flag: the device may have sent this before."""
    retained: bool = False


PublicationHandler: TypeAlias = Callable[[Sequence[Publication]], None]
"""Called on the loop with everything that one read brought; must not block. The acknowledgements come later,
through `acknowledge`, when the handler's owner has committed."""
