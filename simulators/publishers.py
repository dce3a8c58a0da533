"""Many devices that do nothing but publish, in one process: for the measurement of a broker.

MQTT 3.1.1 (sections 3.1 to 3.4) at QoS 1 over raw sockets and epoll: a client library costs ten times as much a
message, and would be what is measured. A message is zigbee2mqtt JSON of about 110 bytes. A latency begins when a
message was due, so that none that had to wait to be sent, for whatever reason, counts as quick.
"""

from __future__ import annotations

import resource
import select
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.cost import peak_memory_mb
from simulators.latencies import Latencies
from simulators.mqtt_packets import header, string
from simulators.publisher_line import Line, Way
from simulators.unreached import why
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

UNDER_WAY: Final = 20
"""Messages of one connection that may wait for their PUBACK: what brokers allow by default."""
_TOGETHER: Final = 200
"""Connections that are opened at once."""
_PATIENCE_S: Final = 20.0
_LONGEST_PAUSE_S: Final = 0.05
_REPORT_S: Final = 0.5
_SPARE_FILES: Final = 64
_PUBLISH_QOS_1: Final = 0x32


class BrokerUnreachable(EnvironmentFault):
    """A broker that does not let the devices in."""

    code = "broker_unreachable"


class TooFewFiles(EnvironmentFault):
    """The system lets a process have fewer connections than asked for."""

    code = "too_few_files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one process publishes."""

    host: str
    port: int
    devices: int
    connections: int
    """Device d publishes on connection d modulo this."""
    rate: float
    """Messages a second; 0 for as many as the PUBACKs allow."""
    seconds: float
    name: str
    """What its client ids begin with."""
    source: str = ""
    """The address that connections come from: one address has no more than some 28,000 ports for one broker."""
    user: str = ""
    password: str = ""


@dataclass(slots=True)
class Progress:
    """How far a process has come; sums from its beginning."""

    connected: int = 0
    seconds: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    lost_connections: int = 0
    cpu_s: float = 0.0
    memory_mb: float = 0.0
    """The most that was resident, in 2^20 bytes."""
    counts: list[int] | None = None
    """Latencies since the last report, as `Latencies` counts them."""


def publish(load: Load, report: Callable[[Progress], None], tls: ssl.SSLContext | None = None) -> None:
    """Connect, publish for the load's time, wait for what is under way; `report` is called twice a second.

    It ends before its time when the last connection is lost. `tls` says whom to believe, where the broker speaks it.
    Raises `BrokerUnreachable` and `TooFewFiles` before anything is published.
    """
    _allow_files(load.connections)
    crowd = _Crowd(load, report, tls)
    try:
        crowd.connect()
        crowd.run()
    finally:
        crowd.close()


class _Crowd:
    def __init__(self, load: Load, report: Callable[[Progress], None], tls: ssl.SSLContext | None) -> None:
        self._load, self._report, self._tls = load, report, tls
        self._lines: dict[int, Line] = {}
        """Those that are connected, by descriptor."""
        self._order: list[Line] = []
        """All that there were."""
        self._poll = select.epoll()
        self._progress = Progress()
        self._latencies = Latencies()
        self._next_report = 0.0
        self._began = self._cpu = 0.0
        self._bodies = [_body(load.name, device) for device in range(load.devices)]

    def connect(self) -> None:
        load = self._load
        waiting: deque[Line] = deque()
        try:
            way = Way.to(load.host, load.port, load.source, self._tls)
            for number in range(load.connections):
                waiting.append(Line(way, f"{load.name}-{number}", load.user, load.password))
                if len(waiting) >= _TOGETHER:
                    self._admit(waiting)
            while waiting:
                self._admit(waiting)
        except OSError as error:
            raise self._unreachable(why(error)) from None
        finally:
            for line in waiting:
                line.socket.close()

    def run(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        until = self._began + self._load.seconds
        sent = 0
        while self._lines and (now := time.perf_counter()) < until:
            sent = self._send_due(sent, now)
            self._listen(self._pause(sent))
            self._tell()
        patience = time.perf_counter() + _PATIENCE_S
        while self._under_way and time.perf_counter() < patience:
            self._listen(_REPORT_S)
            self._tell()
        self._tell(is_last=True)

    def close(self) -> None:
        for line in self._order:
            line.socket.close()
        self._poll.close()

    @property
    def _under_way(self) -> int:
        return sum(len(line.due) for line in self._lines.values())

    def _admit(self, waiting: deque[Line]) -> None:
        """Let the first in; it stays among the waiting when the broker does not."""
        line = waiting[0]
        if refusal := line.why_not_let_in():
            raise self._unreachable(refusal)
        waiting.popleft()
        self._order.append(line)
        self._lines[line.socket.fileno()] = line
        self._poll.register(line.socket.fileno(), select.EPOLLIN)
        self._progress.connected += 1
        if not self._progress.connected % _TOGETHER:
            self._tell()

    def _unreachable(self, reason: str) -> BrokerUnreachable:
        load = self._load
        return BrokerUnreachable(
            f"{len(self._order):,} of {load.connections:,} connections were let in, then no more: {reason}",
            where=f"{load.host}:{load.port}",
            fix="see that the broker runs, lets these clients in, and may have so many connections",
        )

    def _send_due(self, sent: int, now: float) -> int:
        """Send what is due; the number of messages that have been sent or had no connection any more."""
        rate, count = self._load.rate, len(self._order)
        due = int((now - self._began) * rate) + 1 if rate else sent + count
        while sent < due:
            line = self._order[sent % count]
            if len(line.due) >= UNDER_WAY:
                if rate:
                    break  # it waits, and its latency grows
                sent += 1
                continue
            self._send(line, sent, self._began + sent / rate if rate else time.perf_counter())
            sent += 1
        return sent

    def _send(self, line: Line, number: int, due: float) -> None:
        line.packet_id = line.packet_id % 65_535 + 1
        head, payload = self._bodies[number % len(self._bodies)]
        try:
            line.send(head + line.packet_id.to_bytes(2, "big") + payload)
        except OSError:
            self._lose(line)
            return
        line.due[line.packet_id] = due
        self._progress.sent += 1

    def _pause(self, sent: int) -> float:
        rate = self._load.rate
        if not rate:
            has_room = any(len(line.due) < UNDER_WAY for line in self._lines.values())
            return 0.0 if has_room else _LONGEST_PAUSE_S
        return max(0.0, min(_LONGEST_PAUSE_S, self._began + sent / rate - time.perf_counter()))

    def _listen(self, wait_s: float) -> None:
        for descriptor, _ in self._poll.poll(wait_s):
            line = self._lines.get(descriptor)
            if line is None:
                continue
            try:
                acknowledged = list(line.acknowledged())
            except OSError:
                self._lose(line)
                continue
            now = time.perf_counter()
            for packet_id in acknowledged:
                due = line.due.pop(packet_id, None)
                if due is not None:
                    self._latencies.add(now - due)
                    self._progress.acknowledged += 1

    def _lose(self, line: Line) -> None:
        descriptor = line.socket.fileno()
        if self._lines.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)
            self._progress.lost_connections += 1
            line.due.clear()
            line.socket.close()

    def _tell(self, *, is_last: bool = False) -> None:
        now = time.perf_counter()
        if now < self._next_report and not is_last:
            return
        self._next_report = now + _REPORT_S
        progress = self._progress
        if self._began:
            progress.seconds, progress.cpu_s = now - self._began, time.process_time() - self._cpu
        progress.memory_mb = peak_memory_mb()
        progress.counts, self._latencies = self._latencies.counts, Latencies()
        self._report(progress)


def _body(name: str, device: int) -> tuple[bytes, bytes]:
    """What stands before the packet id of a device's PUBLISH, and what behind it."""
    co2, tenths = 420 + device % 900, 180 + device % 90
    payload = (
        f'{{"co2":{co2},"humidity":{40 + device % 30},"temperature":{tenths / 10},"linkquality":{80 + device % 120},'
        f'"last_seen":{1_790_000_000_000 + device}}}'
    ).encode()
    topic = string(f"zigbee2mqtt/{name}-{device}")
    return header(_PUBLISH_QOS_1, len(topic) + 2 + len(payload)) + topic, payload


def _allow_files(connections: int) -> None:
    """Raise the soft limit of open files as far as needed."""
    needed = connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise TooFewFiles(
            f"{connections:,} connections from one process need {needed:,} open files, and the system allows {hard:,}",
            where="ulimit -Hn",
            fix="give --processes, or --connections that devices share; or raise the limit",
        )
    if needed > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (OSError, ValueError) as error:
            raise TooFewFiles(str(error), where="setrlimit", fix="raise ulimit -n") from None
