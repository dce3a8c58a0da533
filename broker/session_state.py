"""What belongs to a session and not to its connection (MQTT 5 section 4.1), as far as this endpoint keeps any."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.exchanges import Exchanges
from broker.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True)
class SessionState:
    """Handed to each connection of the session in turn."""

    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    exchanges: Exchanges = field(default_factory=Exchanges)
