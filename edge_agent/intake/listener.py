"""Intake by the durable listener: what devices publish to the agent itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_drivers.contract import Frame
from edge_agent.events import Arrival, Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.publications import AckToken, Publication
    from edge_agent.intake import Deliver
    from telemetry import Clock


@dataclass(frozen=True, slots=True)
class ListenerToken:
    """What to hand back to the listener once a batch is on disk."""

    tokens: Sequence[AckToken]


class ListenerIntake:
    """Turns what one read brought into a batch; the listener's own tokens go with it and come back after the commit.

    The retain flag is the device's wish to a broker that keeps messages; what comes in here is always fresh.
    """

    def __init__(self, clock: Clock, deliver: Deliver) -> None:
        self._clock = clock
        self._deliver = deliver

    def __call__(self, publications: Sequence[Publication]) -> None:
        """Take over what one read of one connection brought: the listener's handler."""
        arrivals = [
            Arrival(Frame(payload, topic), token.packet_id if token else 0, duplicate)
            for _, topic, payload, token, duplicate, _ in publications
        ]
        tokens = [publication.token for publication in publications if publication.token is not None]
        token = ListenerToken(tokens) if tokens else None
        self._deliver(Batch(arrivals, self._clock.now(), session=publications[0].session, token=token))
