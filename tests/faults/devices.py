"""Simulated devices for seeded lives: they send at QoS 1 until they are acknowledged, garbage too, and keep count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_drivers.contract import Frame
from edge_agent.events import Arrival, Batch
from tests.edge_agent.harness import MINUTE, SECOND, frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from edge_agent.privacy.rules import Rule


POISONED: Final = 0.02
"""Of readings, how many the centre will refuse: each costs it a batch for every halving until it stands alone."""


class Device:
    """One device with a session of its own. Packet ids go round, so that each is used again and again."""

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        self.sent: dict[int, Frame] = {}
        """Messages that have no acknowledgement, by packet id."""
        self.readings = 0
        """In everything sent."""
        self._random = random
        self._packet = 0
        self._held: list[list[Arrival]] = []

    def send(self, rules: Mapping[str, Rule], now_ms: int, messages: int) -> list[Arrival]:
        """New messages, of which some are nonsense."""
        return [self._new(*self._content(rules, now_ms)) for _ in range(messages) if len(self.sent) < 60]

    def send_late(self, measured_ms: int) -> list[Arrival]:
        """One message of long ago."""
        return [self._new(frame(["temperature", 5, "", measured_ms]), 1)] if len(self.sent) < 60 else []

    def send_now(self, rules: Mapping[str, Rule]) -> list[Arrival]:
        """One message of what is measured as it comes in."""
        rows = [[name, rule.quantity.minimum] for name, rule in rules.items() if not rule.is_event]
        return [self._new(frame(*rows), len(rows))] if rows else []

    def again(self) -> list[Arrival]:
        """Everything without an acknowledgement, as a copy."""
        self._held.clear()
        return [Arrival(content, packet, duplicate=True) for packet, content in self.sent.items()]

    def batch(self, arrivals: list[Arrival], now_ms: int) -> Batch:
        """As one read of its connection brings them."""
        token = self.name, [arrival.packet_id for arrival in arrivals]
        return Batch(arrivals, now_ms, self.name, session=self.name, token=token)

    def acknowledged(self, packets: list[int]) -> None:
        """PUBACKs came."""
        for packet in packets:
            self.sent.pop(packet, None)

    def wait(self, arrivals: list[Arrival]) -> None:
        """Nobody reads the connection: what was sent stays in it."""
        self._held.append(arrivals)

    def waited(self) -> list[list[Arrival]]:
        """What stood in the connection, now that somebody reads it."""
        held, self._held = self._held, []
        return held

    def _new(self, content: Frame, readings: int) -> Arrival:
        self._packet = self._packet % 97 + 1
        while self._packet in self.sent:
            self._packet = self._packet % 97 + 1
        self.sent[self._packet] = content
        self.readings += readings
        return Arrival(content, self._packet)

    def _content(self, rules: Mapping[str, Rule], now_ms: int) -> tuple[Frame, int]:
        if self._random.random() < 0.1:
            return self._random.choice(
                [
                    (_padded("refuse", self), 1),
                    (_padded("raise", self), 1),
                    (frame(["ozone", 1e308, "", now_ms - self.readings]), 1),
                ]
            )
        rows: list[list[object]] = []
        for name, rule in rules.items():
            bounds = rule.quantity.minimum, min(rule.quantity.maximum, 5000)
            is_poisoned = not rule.is_event and self._random.random() < POISONED
            channel = "poison" if is_poisoned else self._random.choice(["", "", "", "2"])
            stated = self._random.choice(
                [None, None, now_ms, now_ms - self._random.randrange(20 * MINUTE), now_ms + SECOND, 946_684_800_000]
            )
            value = self._random.randint(0, 1) if rule.is_event else round(self._random.uniform(*bounds), 4)
            rows.append([name, value, channel, stated if not rule.is_event else now_ms - self.readings % 1000])
        return frame(*rows), len(rows)


def _padded(word: str, device: Device) -> Frame:
    """Nonsense of a length of its own: a copy is known by what it says, and no two messages here say the same."""
    return Frame(frame(word).payload + b" " * (device.readings % 500))
