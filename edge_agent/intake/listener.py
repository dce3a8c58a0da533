"""Intake by the durable listener: what devices publish to the agent itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_drivers.contract import Frame
from edge_agent.events import Arrival, Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.publications import Publication
    from edge_agent.intake import Deliver
    from telemetry import Clock


class ListenerIntake:
    """Turns publications into arrivals; the listener's own tokens go with them and come back after the commit.

    The retain flag is the device's wish to a broker that keeps messages; what comes in here is always fresh.
    """

    def __init__(self, clock: Clock, deliver: Deliver) -> None:
        self._clock = clock
        self._deliver = deliver

    def __call__(self, publications: Sequence[Publication]) -> None:
        """Take over what one read brought: the listener's handler."""
        now = self._clock.now()
        self._deliver([_arrival(publication, now) for publication in publications])


def _arrival(publication: Publication, now: int) -> Arrival:
    token = publication.token
    delivery = None
    if token is not None:
        delivery = Delivery(publication.session, token.packet_id, publication.duplicate)
    frame = Frame(publication.payload, topic=publication.topic)
    return Arrival(frame, now, delivery=delivery, token=token)
