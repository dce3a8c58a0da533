"""What one device, and all of them together, may ask of the listener."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from broker import wire
from telemetry import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """The listener's bounds. What goes beyond them is refused or waits in the sender: nothing is dropped silently."""

    max_connections: int = 2_000
    max_connections_per_client: int = 1_000
    """Of one login at once; so one that is shared, or broken, leaves room for the others."""
    max_packet_bytes: int = 65_536
    """Announced to MQTT 5 clients; a larger packet ends the connection before its payload is read."""
    max_unacknowledged: int = 1_000
    """Publications of one connection that wait for the commit: Receive Maximum in MQTT 5. What is beyond it waits."""
    max_unacknowledged_total: int = 100_000
    max_exchanges: int = 10_000
    """Publications at QoS 2 of one session that were taken over and that its client has not released."""
    publications_per_s: float = 5_000.0
    """Of one connection, on average, its other packets counted too; a faster one is read more slowly."""
    publications_burst: int = 20_000
    connect_timeout_s: float = 10.0
    """How long a connection may take until its client is known."""
    linger_s: float = 1.0
    """How long a refused client may take to read why."""

    def __post_init__(self) -> None:
        checks = {
            "max_connections": self.max_connections >= 1,
            "max_connections_per_client": self.max_connections_per_client >= 1,
            "max_packet_bytes": 1_024 <= self.max_packet_bytes <= 268_435_460,
            "max_unacknowledged": 1 <= self.max_unacknowledged <= 65_535,
            "max_unacknowledged_total": self.max_unacknowledged_total >= 1,
            "max_exchanges": 1 <= self.max_exchanges <= 65_535,
            "publications_per_s": 0 < self.publications_per_s < inf,
            "publications_burst": self.publications_burst >= 1,
            "connect_timeout_s": self.connect_timeout_s > 0,
            "linger_s": self.linger_s >= 0,
        }
        for name, holds in checks.items():
            if not holds:
                raise LimitOutOfRange(f"{getattr(self, name)} cannot be the limit", where=name, fix="see `Limits`")

    def announced(self, assigned_client_id: str = "") -> wire.Properties:
        """What a CONNACK of MQTT 5 says of the limits, and of what the listener does not have (section 3.2.2.3)."""
        announced: wire.Properties = {
            wire.RECEIVE_MAXIMUM: self.max_unacknowledged,
            wire.MAXIMUM_QOS: 1,
            wire.MAXIMUM_PACKET_SIZE: self.max_packet_bytes,
            wire.TOPIC_ALIAS_MAXIMUM: 0,
            wire.SUBSCRIPTION_IDENTIFIERS_AVAILABLE: 0,
            wire.SHARED_SUBSCRIPTION_AVAILABLE: 0,
        }
        if assigned_client_id:
            announced[wire.ASSIGNED_CLIENT_IDENTIFIER] = assigned_client_id
        return announced


class LimitOutOfRange(ConfigurationError):
    """A limit that MQTT does not allow, or that lets nothing through."""

    code = "limit_out_of_range"


class TokenBucket:
    """Allows `rate` a second on average and `burst` at once; debts are paid by waiting."""

    __slots__ = ("_burst", "_level", "_rate", "_updated")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = float(burst)
        self._updated = now

    def spend(self, count: int, now: float) -> float:
        """Take `count`; the seconds to wait until the debt, if there is one, is paid."""
        self._level = min(self._burst, self._level + (now - self._updated) * self._rate) - count
        self._updated = now
        return max(0.0, -self._level / self._rate)
