"""The stream: messages that carry their number, published at QoS 1 to the broker that the gateways subscribe to.

    python -m bench._gateways.stream '{"port": 1883, "devices": 200, "messages": 6000, "rate": 100}'

Message m is of device m modulo devices, and is sent at m / rate, or, where the rate is 0, as fast as the broker takes
it, all of them encoded before. At a rate each is stamped with the beginning of a slot of its own: a slot is as long as
a device waits between two messages. Prints "ready", and waits for a line on standard input.
"""

from __future__ import annotations

import json
import select
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bench._load import connect, publish_packet, topic

if TYPE_CHECKING:
    import socket

_UNDER_WAY: Final = 1000
_PUBACK_LENGTH: Final = 4
_PIECE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is published."""

    port: int
    devices: int
    messages: int
    rate: int = 0

    @property
    def slot_ms(self) -> int:
        """How long a device waits between two messages."""
        return 1000 * self.devices // self.rate

    def stamp_ms(self, number: int, begin_ms: int) -> int:
        """The slot of its own that message `number` is stamped with; `begin_ms` begins a slot."""
        return begin_ms + number // self.devices * self.slot_ms

    def as_json(self) -> str:
        """As the process is told."""
        return json.dumps(asdict(self))


def message(number: int, last_seen_ms: int | None = None) -> bytes:
    """zigbee2mqtt JSON of a room sensor, with the number; about 170 bytes."""
    fields: dict[str, object] = {
        "temperature": 20 + number % 100 / 10,
        "humidity": 40 + number % 20,
        "number": number,
        "update": "-" * 80,
    }
    if last_seen_ms is not None:
        fields["last_seen"] = last_seen_ms
    return json.dumps(fields).encode()


class _Sender:
    """One connection that counts its PUBACKs."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._bytes_in = 0
        self._sent = 0

    @property
    def acknowledged(self) -> int:
        return self._bytes_in // _PUBACK_LENGTH

    def send(self, packets: bytes, count: int = 1) -> None:
        self._sent += count
        while self._sent - self.acknowledged > _UNDER_WAY:
            self.read(1.0)
        self._connection.sendall(packets)

    def read(self, wait_s: float) -> None:
        if select.select([self._connection], [], [], wait_s)[0]:
            data = self._connection.recv(1 << 16)
            if not data:
                raise SystemExit("the broker has closed the connection")
            self._bytes_in += len(data)


def _packet(stream: Stream, number: int, stamp_ms: int | None = None) -> bytes:
    return publish_packet(topic(number % stream.devices), number % 65_535 + 1, message(number, stamp_ms))


def _flood(stream: Stream, sender: _Sender) -> None:
    pieces = [range(first, min(first + _PIECE, stream.messages)) for first in range(0, stream.messages, _PIECE)]
    packets = [(b"".join(_packet(stream, number) for number in piece), len(piece)) for piece in pieces]
    _wait_for_the_word()
    for piece, count in packets:
        sender.send(piece, count)


def _scheduled(stream: Stream, sender: _Sender) -> None:
    _wait_for_the_word()
    slot_ms = stream.slot_ms
    begin_ms = (time.time_ns() // 1_000_000 // slot_ms + 1) * slot_ms
    for number in range(stream.messages):
        due = begin_ms / 1000 + number / stream.rate
        while (wait_s := due - time.time()) > 0:
            sender.read(wait_s)
        sender.send(_packet(stream, number, stream.stamp_ms(number, begin_ms)))


def _wait_for_the_word() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """Publish once."""
    stream = Stream(**json.loads(sys.argv[1]))
    sender = _Sender(connect(stream.port, "stream"))
    (_scheduled if stream.rate else _flood)(stream, sender)
    while sender.acknowledged < stream.messages:
        sender.read(1.0)


if __name__ == "__main__":
    main()
