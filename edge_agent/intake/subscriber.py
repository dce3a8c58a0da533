"""Intake by subscription to a broker that the school already has; acknowledged by hand, after the commit.

MQTT 5 with a lasting session where the broker has it, else 3.1.1; QoS 1. Nothing is published but requests to devices,
and those no more to a broker that ends the connection for them. The protocol is `broker.subscription`'s:
this gives it a connection, on the loop, and a clock. A message the broker kept (retained) is not fresh and is marked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from broker import client_packets
from broker.packets import MQTT_3_1_1, MQTT_5
from broker.subscription import Heard, Login, Subscription
from broker.topics import matches
from device_drivers.connections import reason
from device_drivers.contract import Frame
from edge_agent.client_tls import TrustUnusable, why_not
from edge_agent.events import Arrival, Batch
from edge_agent.intake.availability import Availability
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.publications import Publication
    from edge_agent.client_tls import ClientTls
    from edge_agent.intake import Deliver
    from telemetry import Clock

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5.0
GOODBYE_S: Final = 1.0
TICK_S: Final = 1.0
PROVEN_S: Final = 5.0
"""How long a subscription has to stand before the broker counts as back: one that breaks off each time does not."""
REFUSED_WITHIN_S: Final = 2.0
"""A connection that ends so soon behind a request may have been ended for it: some brokers answer so (MQTT 3.3.5)."""
MOST_REFUSALS: Final = 2


@dataclass(frozen=True, slots=True)
class SubscriberToken:
    """By which connection a batch came."""

    generation: int


class SubscriberIntake:
    """Keeps one subscription, through restarts of the broker and of the agent."""

    def __init__(
        self,
        address: tuple[str, int],
        login: Login,
        *,
        session: str,
        clock: Clock,
        deliver: Deliver,
        tls: ClientTls | None = None,
        read_password: Callable[[], str] | None = None,
    ) -> None:
        """`session` is what the session is called on disk; `tls` says whom to believe, where the broker speaks it.

        `read_password` gives the password as it is now, where that is in a file; it may raise `ConfigurationError`.
        """
        self._host, self._port = address
        self._tls = tls
        self._login = login
        self._read_password = read_password
        self._session = session
        self._clock = clock
        self._deliver = deliver
        self._availability = Availability("broker")
        self._level = MQTT_5
        self._generation = 0
        self._line: _Line | None = None
        self._is_holding = False
        self._refusals = 0
        """How often in a row the connection ended behind a request."""
        self._echoes: dict[str, bytes] = {}
        """Requests that come back where the topics take them in, by topic."""

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker has granted the topics on the present connection."""
        return self._line is not None and self._line.subscribed_at is not None

    @property
    def is_up(self) -> bool:
        """Whether it has, and can be relied on."""
        return self.is_subscribed and self._availability.is_available

    def acknowledge(self, batch: Batch) -> None:
        """Send the PUBACKs of what is on disk; those of an earlier connection are dropped, the broker sends again."""
        if self._line is not None and batch.token == SubscriberToken(self._generation):
            self._line.acknowledge([arrival.packet_id for arrival in batch.arrivals if arrival.packet_id])

    def publish(self, topic: str, payload: bytes, *, heard_at: str) -> bool:
        """Ask the devices that are heard at `heard_at`, at QoS 0; False where they are not heard here, or not now."""
        line, is_heard = self._line, any(matches(one, heard_at) for one in self._login.topics)
        if line is None or line.subscribed_at is None or not is_heard or self._refusals >= MOST_REFUSALS:
            return False
        self._echoes[topic] = payload
        line.publish(topic, payload)
        return True

    def hold(self) -> None:
        """Take nothing in until `resume`; the broker keeps what comes meanwhile."""
        self._is_holding = True
        if self._line is not None:
            self._line.hold()

    def resume(self) -> None:
        """Take in again."""
        self._is_holding = False
        if self._line is not None:
            self._line.resume()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        while True:
            wait_s = 0.1
            try:
                await self.serve()
            except (OSError, TrustUnusable) as error:  # TimeoutError is one of the former
                wait_s = self._availability.down(f"{self._host}:{self._port}: {why_ended(error)}")
            await asyncio.sleep(wait_s)

    async def serve(self) -> None:
        """One connection, from its first byte to its end. Raises OSError, with the reason, and `TrustUnusable`.

        ConnectionError, where a connection came about or was refused: the next one may be by another version of MQTT.
        """
        self._generation += 1
        if self._read_password is not None:
            with contextlib.suppress(ConfigurationError):  # as one that is being written: as it was before
                self._login = replace(self._login, password=self._read_password())
        line = _Line(self, Subscription(self._login, self._level, self._clock.monotonic()), self._clock)
        tls = None if self._tls is None else self._tls.context()  # as the files stand: they are renewed meanwhile
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.get_running_loop().create_connection(lambda: line, self._host, self._port, ssl=tls)
        self._line = line
        if self._is_holding:
            line.hold()
        try:
            while not line.ended.done():
                await asyncio.wait((line.ended,), timeout=TICK_S)
                line.tick()
                if line.is_proven():
                    self._availability.up()
            if line.has_other_version:
                self._level = MQTT_3_1_1 if self._level == MQTT_5 else MQTT_5
            self._note_refusal(line.published_at)
            raise ConnectionError(line.ended.result())
        finally:
            self._line = None
            await line.close()

    def _is_echo(self, item: Publication) -> bool:
        """Whether it is a request of our own: it comes back once, at QoS 0."""
        is_ours = not item.packet_id and self._echoes.get(item.topic) == item.payload
        if is_ours:
            del self._echoes[item.topic]
        return is_ours

    def _note_refusal(self, published_at: float | None) -> None:
        """The connection has ended: whether a request may have been why."""
        if published_at is None:
            return
        is_refusal = self._clock.monotonic() - published_at < REFUSED_WITHIN_S
        self._refusals = self._refusals + 1 if is_refusal else 0
        if self._refusals == MOST_REFUSALS:
            _log.warning(
                "the broker ends the connection when a Sparkplug node is asked for a rebirth, so none is asked any "
                "more: let the account of [subscriber] publish to spBv1.0/GROUP/NCMD/NODE, or set rebirth = false"
            )

    def take(self, heard: Heard) -> None:
        """Hand on what one read brought as one batch."""
        arrivals = [
            Arrival(Frame(item.payload, item.topic), item.packet_id, item.duplicate, item.retained)
            for item in heard.publications
            if not (self._echoes and self._is_echo(item))
        ]
        if not arrivals:
            return
        token = SubscriberToken(self._generation)
        self._deliver(Batch(arrivals, self._clock.now(), session=self._session, token=token))


def why_ended(error: Exception) -> str:
    """Why there is no connection, of what `SubscriberIntake.serve` raised."""
    is_the_systems = isinstance(error, TimeoutError) or getattr(error, "errno", None) is not None
    return why_not(error) or (reason(error) if is_the_systems else str(error))


class _Line(asyncio.Protocol):
    """A subscription on a TCP connection."""

    def __init__(self, intake: SubscriberIntake, subscription: Subscription, clock: Clock) -> None:
        self._intake = intake
        self._subscription = subscription
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._heard_anything = False
        self._is_holding = False
        self.subscribed_at: float | None = None
        """When the broker granted the topics."""
        self.published_at: float | None = None
        """When the last request went."""
        self.has_other_version = False
        """Whether another version of MQTT should be tried: a broker that has no MQTT 5 may just hang up on it."""
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Set when the connection is over, with the reason."""
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Set when nothing more will be read or written."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._transport.write(self._subscription.connect())

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._heard_anything = True
        self._apply(self._subscription.receive(data, self._clock.monotonic()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._lost.set_result(None)
        self.has_other_version = self.has_other_version or not self._heard_anything
        self._end(str(exc) if exc is not None else "the connection ended")

    def is_proven(self) -> bool:
        """Whether it has stood for long enough, and no sign of life is due: a silent broker is not back."""
        if self.subscribed_at is None or self.ended.done() or self._subscription.is_answer_due:
            return False
        return self._clock.monotonic() - self.subscribed_at >= PROVEN_S

    def acknowledge(self, packet_ids: list[int]) -> None:
        """Send the PUBACKs for these."""
        if packet_ids and self._transport is not None and not self.ended.done():
            self._transport.write(self._subscription.acknowledge(packet_ids, self._clock.monotonic()))

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 0."""
        if self._transport is not None and not self.ended.done():
            self.published_at = self._clock.monotonic()
            self._transport.write(self._subscription.publish(topic, payload, self.published_at))

    def hold(self) -> None:
        """Read no further."""
        self._is_holding = True
        if self._transport is not None and not self.ended.done():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._is_holding = False
        if self._transport is not None and not self.ended.done():
            self._subscription.resume(self._clock.monotonic())
            self._transport.resume_reading()

    def tick(self) -> None:
        """Time has passed; while nothing is read, the broker's silence proves nothing."""
        now = self._clock.monotonic()
        if self._is_holding:
            self._apply(Heard(reply=self._subscription.keep_alive(now)))
            return
        self._apply(self._subscription.tick(now))

    async def close(self) -> None:
        """Say goodbye and hang up; the session lasts, and what is unacknowledged in it comes again.

        By TLS the broker says goodbye as well, and is waited for: a loop that ends before would cut off ours.
        """
        if self._transport is None:
            return
        self._transport.write(client_packets.DISCONNECT)
        self._transport.close()
        await asyncio.wait((self._lost,), timeout=GOODBYE_S)
        if not self._lost.done():
            self._transport.abort()
            await asyncio.wait((self._lost,))

    def _apply(self, heard: Heard) -> None:
        if self.ended.done():
            return
        if heard.reply and self._transport is not None:
            self._transport.write(heard.reply)
        if heard.subscribed:
            self.subscribed_at = self._clock.monotonic()
        if heard.publications:
            self._intake.take(heard)
        if heard.ended:
            self.has_other_version = heard.other_version
            self._end(heard.ended)

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
