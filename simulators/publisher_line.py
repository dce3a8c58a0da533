"""One connection of a publisher that measures a broker: MQTT 3.1.1 over a socket, plain or by TLS.

Blocking where it is opened; read when a selector says that something came.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.mqtt_packets import packet, string

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S: Final = 20.0
_RECEIVE: Final = 1 << 16
_CONNECT: Final = 0x10
_REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this client id",
    3: "it takes nobody at the moment",
    4: "the user or the password is wrong",
    5: "this user may not connect",
}
"""Return codes of CONNACK (MQTT 3.1.1, 3.2.2.3)."""


@dataclass(frozen=True, slots=True)
class Way:
    """How every connection reaches the broker."""

    family: int
    address: tuple[str | int | bytes, ...]
    """As `getaddrinfo` tells it: resolved once, not for each of thousands."""
    host: str
    """The name that the broker's certificate has to have."""
    source: str
    """The address that connections come from; empty for any."""
    tls: ssl.SSLContext | None

    @classmethod
    def to(cls, host: str, port: int, source: str, tls: ssl.SSLContext | None) -> Way:
        """Raises `OSError` where the name is not known."""
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return cls(family, address, host, source, tls)


class Line:
    """Opened, with CONNECT sent. Raises `OSError` as soon as there is no connection."""

    __slots__ = ("_unread", "due", "packet_id", "socket")

    def __init__(self, way: Way, client: str, user: str, password: str) -> None:
        connection = socket.socket(way.family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_PATIENCE_S)
            if way.source:
                connection.bind((way.source, 0))
            connection.connect(way.address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if way.tls is not None:
                connection = way.tls.wrap_socket(connection, server_hostname=way.host)
            connection.sendall(_connect_packet(client, user, password))
        except OSError:
            connection.close()
            raise
        self.socket = connection
        self.packet_id = 0
        self.due: dict[int, float] = {}
        """When each message that is under way was due, by its packet id."""
        self._unread = b""

    def why_not_let_in(self) -> str:
        """What the broker answers to CONNECT, where that is no welcome; empty when it lets the client in."""
        answer = b""
        while len(answer) < 4:
            more = self.socket.recv(4 - len(answer))
            if not more:
                return "the broker hung up"
            answer += more
        if answer[0] != 0x20:
            return f"what answers does not speak MQTT ({answer.hex(' ')})"
        return f"CONNACK {answer[3]}, {_REFUSALS.get(answer[3], 'which is unknown')}" if answer[3] else ""

    def send(self, message: bytes) -> None:
        """Wait until the system has taken it."""
        self.socket.sendall(message)

    def acknowledged(self) -> Iterator[int]:
        """The packet ids of the PUBACKs that came; of a packet that is not whole the beginning is kept."""
        data = self._unread + self._received()
        place = 0
        while place + 2 <= len(data):
            length = data[place + 1]  # what a broker sends to a publisher is short: one byte of length
            if place + 2 + length > len(data):
                break
            if data[place] >> 4 == 4:
                yield int.from_bytes(data[place + 2 : place + 4], "big")
            place += 2 + length
        self._unread = data[place:]

    def _received(self) -> bytes:
        """What came. TLS says things of its own too: a wait for more behind those would hold up everybody."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(0)
            try:
                data = self.socket.recv(_RECEIVE)
            except ssl.SSLWantReadError:
                return b""
            finally:
                self.socket.settimeout(_PATIENCE_S)
        else:
            data = self.socket.recv(_RECEIVE)
        if not data:
            raise ConnectionResetError
        return data


def _connect_packet(client: str, user: str, password: str) -> bytes:
    flags = 0x02 | (0x80 if user else 0) | (0x40 if password else 0)
    body = string("MQTT") + b"\x04" + bytes((flags,)) + b"\x00\x00"  # a keep-alive of 0: never
    texts = (client, *([user] if user else []), *([password] if password else []))
    return packet(_CONNECT, body + b"".join(map(string, texts)))
