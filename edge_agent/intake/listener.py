"""Intake by the durable listener: what devices publish to the agent itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_drivers.contract import Frame
from edge_agent.events import Arrival, Batch

if TYPE_CHECKING:
    from broker.publications import Publications
    from edge_agent.intake import Deliver
    from telemetry import Clock


class ListenerIntake:
    """Turns what one read brought into a batch, which the listener gets back after the commit.

    The retain flag is the device's wish to a broker that keeps messages; what comes in here is always fresh.
    """

    def __init__(self, clock: Clock, deliver: Deliver) -> None:
        self._clock = clock
        self._deliver = deliver

    def __call__(self, publications: Publications) -> None:
        """Take over what one read of one connection brought: the listener's handler."""
        arrivals = [
            Arrival(Frame(item.payload, item.topic), item.packet_id, item.duplicate) for item in publications.items
        ]
        self._deliver(
            Batch(
                arrivals,
                self._clock.now(),
                session=publications.session,
                token=publications,
                exchanges=publications.steps,
            )
        )
