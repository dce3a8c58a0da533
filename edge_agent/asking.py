"""Asks devices that said once what their values mean, before the agent could hear it, to say it again.

A driver says what would have to be asked; here it is decided what is sent, and when: nothing but what
`device_drivers.requests` allows, to the device that was heard, seldom to one that does not answer, to few at once, and
only where a connection stands. What is lost on the way is asked again, since the driver goes on wanting it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from device_drivers.contract import AskingDriver
from device_drivers.requests import is_allowed
from edge_agent.driver_guard import DriverBlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from random import Random

    from device_drivers.contract import Request
    from edge_agent.admission import Admission, Binding
    from telemetry import Clock

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
FIRST_WAIT_S: Final = (1.0, 4.0)
"""Between these the first request waits, drawn at random: for messages that are only out of order, or for an answer
that somebody else asked for; a hundred devices after a restart are spread by it."""
RETRY_S: Final = 60.0
"""After the first request without an answer; twice as long after each, up to half as long again by chance."""
LONGEST_RETRY_S: Final = 3600.0
MOST_AT_ONCE: Final = 10
MOST_REQUESTS: Final = 64
"""Of one device."""
SILENT_AFTER: Final = 3
"""Requests without an answer until it is said, once."""


class Way(Protocol):
    """By which devices are heard, and may be asked."""

    def publish(self, topic: str, payload: bytes, *, heard_at: str) -> bool:
        """Publish at QoS 0, not retained, to whoever is heard at `heard_at`; False where nobody can be reached."""
        ...


@dataclass(slots=True)
class _Asked:
    """What was done about one request, by its topic."""

    device: str
    due: float
    times: int = 0
    answered_at: float | None = None
    """Since when nothing is wanted any more."""


class Asking:
    """Remembers who was asked what; one look goes through all devices that can be asked."""

    def __init__(self, admission: Admission, clock: Clock, rng: Random, ways: Callable[[], Iterable[Way]]) -> None:
        """`ways` gives those there are at the moment, the nearest first."""
        self._admission = admission
        self._clock = clock
        self._rng = rng
        self._ways = ways
        self._bindings = [each for each in admission.bindings.values() if isinstance(each.driver, AskingDriver)]
        self._asked: dict[str, _Asked] = {}
        self._failed: set[str] = set()
        """Devices whose drivers did what they may not; they are asked for no more requests."""
        self.sent = 0
        """Requests sent since the start."""
        self.awaited = 0
        """Requests whose answers are wanted at the moment: one of a node, whichever of its devices wants it."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Send what is due."""
        now = self._clock.monotonic()
        wanted = {request.topic: (request, binding) for binding in self._bindings for request in self._wanted(binding)}
        self.awaited = len(wanted)
        self._settle(wanted, now)
        for topic, (_, binding) in wanted.items():
            self._note(topic, binding.device, now)
        due = [request for topic, (request, _) in wanted.items() if self._asked[topic].due <= now]
        for request in due[:MOST_AT_ONCE]:
            self._send(request, self._asked[request.topic], now)

    def _note(self, topic: str, device: str, now: float) -> None:
        """A request is wanted: if it was not before, it waits a moment."""
        asked = self._asked.setdefault(topic, _Asked(device, now, answered_at=now))
        if asked.answered_at is not None:
            asked.answered_at = None
            asked.due = max(asked.due, now + self._rng.uniform(*FIRST_WAIT_S))

    def _settle(self, wanted: Mapping[str, object], now: float) -> None:
        """Note what was answered; it is forgotten when nothing was wanted for longer than anybody has to wait.

        So a device that is born and gone wrong again and again is asked as seldom as one that does not answer.
        """
        for topic, asked in list(self._asked.items()):
            if topic in wanted:
                continue
            if asked.answered_at is None:
                asked.answered_at = now
                if asked.times >= SILENT_AFTER:
                    _log.info("device %s said again what it is", asked.device)
            elif now - asked.answered_at > LONGEST_RETRY_S:
                del self._asked[topic]

    def _send(self, request: Request, asked: _Asked, now: float) -> None:
        if not any(way.publish(request.topic, request.payload, heard_at=request.heard_at) for way in self._ways()):
            asked.due = now + self._rng.uniform(*FIRST_WAIT_S)
            return
        self.sent += 1
        wait_s = min(LONGEST_RETRY_S, RETRY_S * 2**asked.times)
        asked.due = now + wait_s * self._rng.uniform(1.0, 1.5)
        asked.times += 1
        if asked.times == SILENT_AFTER:
            _log.warning(
                "device %s was asked %d times to say again what it is: either it does not answer, or the broker does "
                "not let this agent ask it",
                asked.device,
                asked.times,
            )

    def _wanted(self, binding: Binding) -> Sequence[Request]:
        """What a device's driver wants to ask; once it failed, or wanted what no driver may ask, nothing."""
        driver = binding.driver
        if binding.device in self._failed or binding.suspension.holds(self._clock.now()):
            return ()
        assert isinstance(driver, AskingDriver)
        try:
            with self._admission.guard.call():
                said = list(islice(driver.requests(self._clock.now()), MOST_REQUESTS))
            if all(self._may_be_sent(request, binding) for request in said):
                return said
            what = "would ask what no driver may ask"
        except DriverBlocked:
            what = "blocks"
        except Exception as error:  # noqa: BLE001 - the boundary that keeps a vendor's mistake from the others
            what = f"fails with {type(error).__name__}"
        self._failed.add(binding.device)
        _log.error("driver %s %s: device %s is asked nothing any more", binding.driver_id, what, binding.device)
        return ()

    def _may_be_sent(self, request: Request, binding: Binding) -> bool:
        """Whether it is of the closed list, and goes to the device itself."""
        return is_allowed(request) and self._admission.device_at(request.heard_at) == binding.device
