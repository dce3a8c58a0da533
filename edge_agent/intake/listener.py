"""Intake by the durable listener: what devices publish to the agent itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_drivers.contract import Frame
from edge_agent.events import Arrival, Batch
from edge_agent.intake.availability import Availability

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.publications import Publications
    from broker.wills import Presence
    from edge_agent.intake import Deliver
    from telemetry import Clock


class ListenerIntake:
    """Turns what one read brought into a batch, which the listener gets back after the commit.

    The retain flag is the device's wish to a broker that keeps messages; what comes in here is always fresh.
    """

    def __init__(self, clock: Clock, deliver: Deliver, device_at: Callable[[str], str]) -> None:
        """`device_at` finds whose topic it is."""
        self._clock = clock
        self._deliver = deliver
        self._device_at = device_at
        self._gone: dict[tuple[str, str], Availability] = {}

    @property
    def unavailable(self) -> int:
        """Devices that went without a goodbye and are not back."""
        return len(self._gone)

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

    def tell(self, presence: Presence) -> None:
        """A device is gone, or back. That it went is counted on disk; its will holds no reading."""
        device = self._device_at(presence.topic)
        key = presence.client, device  # not the topic: a client may make one up for each connection
        if presence.is_there:
            if (availability := self._gone.pop(key, None)) is not None:
                availability.up()
            return
        self._gone.setdefault(key, Availability(device or presence.client)).down("it went without a goodbye")
        self._deliver(Batch((), self._clock.now(), departed=(device,)))
