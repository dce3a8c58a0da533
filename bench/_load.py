"""Publishers: processes that push QoS 1 messages as fast as they are acknowledged, encoded before the clock starts.

    python -m bench._load PORT CONNECTIONS MESSAGES FIELDS

MQTT 3.1.1 over raw sockets, a bounded number of messages unacknowledged on each connection. Prints "ready", waits
for a line on standard input, publishes, and prints the seconds until the last PUBACK.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from typing import Final

TOPICS: Final = 400
USER: Final = "load"
PASSWORD: Final = "load"
UNACKNOWLEDGED: Final = 500
_CHUNK: Final = 100
_PUBACK_LENGTH: Final = 4
_SHORTEST: Final = 150
"""Bytes before the text is added: with it, messages are about 170 bytes long."""


_FIELDS: Final = (
    ("co2", 600, 700),
    ("temperature", 20, 10),
    ("humidity", 40, 20),
    ("pm25", 0, 60),
    ("voc", 0, 300),
    ("illuminance", 300, 200),
    ("battery", 60, 40),
    ("linkquality", 80, 60),
)
MOST_FIELDS: Final = len(_FIELDS)


def payload(number: int, fields: int) -> bytes:
    """zigbee2mqtt JSON of one room sensor: so many fields, and a text that makes it as long as real ones are."""
    message: dict[str, object] = {name: base + number % span for name, base, span in _FIELDS[:fields]}
    length = len(json.dumps(message))
    if length < _SHORTEST:
        message["update"] = "-" * (_SHORTEST - length)
    return json.dumps(message).encode()


def topic(number: int) -> str:
    """One of `TOPICS`."""
    return f"zigbee2mqtt/d-{number % TOPICS}"


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    length, remaining = bytearray(), len(body)
    while True:
        remaining, digit = divmod(remaining, 128)
        length.append(digit | (128 if remaining else 0))
        if not remaining:
            return bytes((first,)) + bytes(length) + body


def _connect(port: int, name: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    flags = b"\x04\xc2\x00\x3c"  # 3.1.1, user, password, clean session, keep-alive 60 s
    connection.sendall(_packet(0x10, _string("MQTT") + flags + _string(name) + _string(USER) + _string(PASSWORD)))
    answer = connection.recv(4)
    if answer[:1] != b"\x20" or answer[3] != 0:
        raise SystemExit(f"refused: {answer!r}")
    return connection


def _publish(number: int, packet_id: int, fields: int) -> bytes:
    return _packet(0x32, _string(topic(number)) + struct.pack(">H", packet_id) + payload(number, fields))


class _Publisher:
    """One connection with its messages, cut into chunks."""

    def __init__(self, port: int, name: str, first: int, count: int, fields: int) -> None:
        self.socket = _connect(port, name)
        self.socket.setblocking(False)
        self._chunks = [
            b"".join(
                _publish(number, (number - first) % 65_535 + 1, fields)
                for number in range(start, min(start + _CHUNK, first + count))
            )
            for start in range(first, first + count, _CHUNK)
        ]
        self._chunks.reverse()
        self._outgoing = memoryview(b"")
        self._left = count
        self._sent = 0
        self._acknowledged = 0
        self._bytes_in = 0

    @property
    def is_done(self) -> bool:
        return self._acknowledged >= self._left

    def write(self) -> None:
        while True:
            if not self._outgoing:
                if not self._chunks or self._sent - self._acknowledged > UNACKNOWLEDGED - _CHUNK:
                    return
                self._outgoing = memoryview(self._chunks.pop())
                self._sent += _CHUNK
            try:
                self._outgoing = self._outgoing[self.socket.send(self._outgoing) :]
            except BlockingIOError:
                return

    def read(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise SystemExit("the connection was closed")
        self._bytes_in += len(data)
        self._acknowledged = self._bytes_in // _PUBACK_LENGTH


def main() -> None:
    """Publish once."""
    port, connections, messages, fields = (int(argument) for argument in sys.argv[1:5])
    share = messages // connections
    publishers = [_Publisher(port, f"load-{index}", index * share, share, fields) for index in range(connections)]
    print("ready", flush=True)
    sys.stdin.readline()
    selector = selectors.DefaultSelector()
    for publisher in publishers:
        selector.register(publisher.socket, selectors.EVENT_READ, publisher)
    started = time.perf_counter()
    waiting = set(publishers)
    for publisher in publishers:
        publisher.write()
    while waiting:
        for key, _ in selector.select(0.05):
            key.data.read()
        for publisher in list(waiting):
            publisher.write()
            if publisher.is_done:
                waiting.discard(publisher)
    print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
