"""The load: one process that plays many devices, each message encoded before the clock starts.

    python -m bench._load '{"port": 1883, "devices": 1000, "connections": 1000, ...}'

MQTT 3.1.1 at QoS 1 over raw sockets, epoll, and one system call a message each way: nothing that a client library
does. Prints "ready", waits for a line on standard input, publishes, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final

from simulators.mqtt_packets import packet, string

USER: Final = "load"
PASSWORD: Final = "load"
CONNECT_WITH_LOGIN: Final = b"\x04\xc2\x00\x3c"
"""MQTT 3.1.1, user, password, clean session, keep-alive 60 s."""
_PUBACK_LENGTH: Final = 4
_SHORTEST: Final = 150
"""Bytes before the text is added: with it, messages are about 170 bytes long."""
_AHEAD: Final = 0.02
"""Seconds between the word to begin and the first scheduled message."""
_GIVE_UP_S: Final = 120.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is published."""

    port: int
    devices: int
    connections: int
    """Device d publishes on connection d modulo this."""
    fields: int
    messages: int
    under_way: int
    """Messages of one connection that may wait for their PUBACK."""
    rate: float = 0.0
    """Messages a second in all, each sent at its scheduled time whatever became of those before it; 0 publishes as
    fast as PUBACKs come."""

    def as_json(self) -> str:
        """As the process is told."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of a load."""

    seconds: float
    """To the last PUBACK."""
    cpu_s: float
    """Of this process in that time: whether it was the bottleneck."""
    latency_ms: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Scheduled time to PUBACK: median, 99th percentile, longest; of a scheduled load."""
    late_ms: float = 0.0
    """The 99th percentile of how late this process itself sent: a part of the latency that is its own."""


def payload(number: int, fields: int) -> bytes:
    """zigbee2mqtt JSON of one room sensor: so many fields, and a text that makes it as long as real ones are."""
    message: dict[str, object] = {name: base + number % span for name, base, span in _FIELDS[:fields]}
    length = len(json.dumps(message))
    if length < _SHORTEST:
        message["update"] = "-" * (_SHORTEST - length)
    return json.dumps(message).encode()


def topic(device: int) -> str:
    """Where a device publishes."""
    return f"zigbee2mqtt/d-{device}"


def publish_packet(to: str, packet_id: int, message: bytes) -> bytes:
    """PUBLISH at QoS 1 (MQTT 3.1.1, section 3.3)."""
    return packet(0x32, string(to) + struct.pack(">H", packet_id) + message)


def connect(port: int, name: str) -> socket.socket:
    """A connection that was let in."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login = string(name) + string(USER) + string(PASSWORD)
    connection.sendall(packet(0x10, string("MQTT") + CONNECT_WITH_LOGIN + login))
    answer = connection.recv(4)
    if answer[:1] != b"\x20" or answer[3] != 0:
        raise SystemExit(f"refused: {answer!r}")
    return connection


def percentile(ordered: list[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class _Line:
    """One connection, and the messages it sends again and again: each of its devices in turn, in one piece of bytes."""

    def __init__(self, load: Load, index: int) -> None:
        self.socket = connect(load.port, f"load-{index}")
        self.fd = self.socket.fileno()
        own = range(index, load.devices, load.connections)
        ring = -(-max(16, 2 * load.under_way) // len(own)) * len(own)
        packets = [
            publish_packet(topic(own[number % len(own)]), number + 1, payload(index + number, load.fields))
            for number in range(ring)
        ]
        packets += packets[: load.under_way]  # so that a run over the end is one piece too
        self._ring = ring
        self._ends = [0]
        for one in packets:
            self._ends.append(self._ends[-1] + len(one))
        self._bytes = memoryview(b"".join(packets))
        self.sent = 0
        self._bytes_in = 0

    @property
    def acknowledged(self) -> int:
        return self._bytes_in // _PUBACK_LENGTH

    def send(self, count: int) -> None:
        """The next messages, in one write; it blocks if the other side reads no further."""
        first = self.sent % self._ring
        piece = self._bytes[self._ends[first] : self._ends[first + count]]
        while (written := os.write(self.fd, piece)) < len(piece):
            piece = piece[written:]
        self.sent += count

    def receive(self) -> int:
        """Take in what came; how many PUBACKs that completed."""
        before = self.acknowledged
        data = os.read(self.fd, 1 << 16)
        if not data:
            raise SystemExit("a connection was closed by the other side")
        self._bytes_in += len(data)
        return self.acknowledged - before


def _flood(load: Load, lines: dict[int, _Line], poll: select.epoll) -> Loaded:
    """As fast as PUBACKs come: each allows one more message of its connection."""
    started, cpu = time.perf_counter(), time.process_time()
    left = dict.fromkeys(lines, load.messages // load.connections)
    unacknowledged = sum(left.values())
    for fd, line in lines.items():
        first = min(load.under_way, left[fd])
        left[fd] -= first
        line.send(first)
    while unacknowledged:
        found = poll.poll(_GIVE_UP_S)
        if not found:
            raise SystemExit("no PUBACK for too long")
        for fd, _ in found:
            line = lines[fd]
            came = line.receive()
            unacknowledged -= came
            more = min(came, left[fd])
            if more:
                left[fd] -= more
                line.send(more)
    return Loaded(seconds=time.perf_counter() - started, cpu_s=time.process_time() - cpu)


def _scheduled(load: Load, lines: dict[int, _Line], poll: select.epoll) -> Loaded:
    """Message m is due at m / rate. A latency begins when the message was due, so that none that had to wait to be
    sent, for whatever reason, counts as quick.
    """
    order, count = list(lines.values()), load.connections
    place = {line.fd: index for index, line in enumerate(order)}
    every, latencies, lateness = 1 / load.rate, [], []
    clock, cpu = time.perf_counter, time.process_time()
    begin = clock() + _AHEAD
    sent = acknowledged = 0
    while acknowledged < load.messages:
        now = clock()
        due = min(load.messages, int((now - begin) * load.rate) + 1) if now >= begin else 0
        while sent < due and order[sent % count].sent - order[sent % count].acknowledged < load.under_way:
            order[sent % count].send(1)
            lateness.append(now - begin - sent * every)
            sent += 1
        wait = max(0.0, begin + sent * every - clock()) if sent < load.messages else 1.0
        for fd, _ in poll.poll(wait):
            line, first = lines[fd], lines[fd].acknowledged
            came = line.receive()
            now = clock() - begin
            latencies += [now - (place[fd] + number * count) * every for number in range(first, first + came)]
            acknowledged += came
        if clock() - begin > load.messages * every + _GIVE_UP_S:
            raise SystemExit("no PUBACK for too long")
    seconds = clock() - begin
    latencies.sort()
    lateness.sort()
    shown = tuple(1000 * percentile(latencies, share) for share in (0.5, 0.99, 1.0))
    return Loaded(
        seconds=seconds,
        cpu_s=time.process_time() - cpu,
        latency_ms=(shown[0], shown[1], shown[2]),
        late_ms=1000 * percentile(lateness, 0.99),
    )


def main() -> None:
    """Publish once."""
    load = Load(**json.loads(sys.argv[1]))
    lines = {line.fd: line for line in (_Line(load, index) for index in range(load.connections))}
    poll = select.epoll()
    for fd in lines:
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asdict((_scheduled if load.rate else _flood)(load, lines, poll))), flush=True)


if __name__ == "__main__":
    main()
