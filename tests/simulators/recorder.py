"""A small MQTT server that writes down every packet and forgets all sessions: for tests of what devices send.

Parses by hand from MQTT 3.1.1 (sections 2 and 3) and MQTT 5.0 (the same, with properties).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Connect:
    client: str
    username: str
    password: str
    level: int
    clean: bool
    session_expiry: int | None


@dataclass(frozen=True)
class Publish:
    client: str
    topic: str
    payload: bytes
    packet_id: int
    qos: int
    dup: bool


class Recorder:
    """Acknowledges a publication when `acknowledges` says so, and hangs up when `hangs_up` does."""

    def __init__(self) -> None:
        self.connects: list[Connect] = []
        self.publishes: list[Publish] = []
        self.acknowledges: Callable[[Publish], bool] = lambda _: True
        self.hangs_up: Callable[[Publish], bool] = lambda _: False
        self.puback_reason = 0
        self.connack_reason = 0
        self.receive_maximum: int | None = None
        self.port = 0
        self.unacknowledged = 0
        self.most_unacknowledged = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def has_more_than(self, count: int) -> bool:
        return len(self.publishes) > count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.unacknowledged = 0
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await self._converse(reader, writer)
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header, body = await packet(reader)
        assert header >> 4 == 1
        connect = parse_connect(body)
        self.connects.append(connect)
        writer.write(self._connack(connect.level))
        if self.connack_reason:
            return
        while True:
            header, body = await packet(reader)
            if header >> 4 == 14:
                return
            if header >> 4 == 12:
                writer.write(b"\xd0\x00")
                continue
            assert header >> 4 == 3
            publish = parse_publish(header, body, connect)
            self.publishes.append(publish)
            self.unacknowledged += 1
            self.most_unacknowledged = max(self.most_unacknowledged, self.unacknowledged)
            if self.hangs_up(publish):
                writer.transport.abort()
                return
            if self.acknowledges(publish):
                self.unacknowledged -= 1
                writer.write(self._puback(publish.packet_id, connect.level))

    def _connack(self, level: int) -> bytes:
        if level == 4:
            return bytes((0x20, 2, 0, self.connack_reason))
        properties = b"" if self.receive_maximum is None else b"\x21" + self.receive_maximum.to_bytes(2, "big")
        rest = bytes((0, self.connack_reason, len(properties))) + properties
        return bytes((0x20, len(rest))) + rest

    def _puback(self, packet_id: int, level: int) -> bytes:
        reason = bytes((self.puback_reason, 0)) if self.puback_reason and level == 5 else b""
        return bytes((0x40, 2 + len(reason))) + packet_id.to_bytes(2, "big") + reason


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    header = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return header, await reader.readexactly(length)


def parse_connect(body: bytes) -> Connect:
    assert body[:6] == b"\x00\x04MQTT"
    level, flags, position = body[6], body[7], 10
    expiry = None
    if level == 5:
        length = body[position]
        properties = body[position + 1 : position + 1 + length]
        position += 1 + length
        if properties[:1] == b"\x11":
            expiry = int.from_bytes(properties[1:5], "big")
    texts = []
    while position < len(body):
        length = int.from_bytes(body[position : position + 2], "big")
        texts.append(body[position + 2 : position + 2 + length].decode())
        position += 2 + length
    client, username, password = texts
    return Connect(client, username, password, level=level, clean=bool(flags & 2), session_expiry=expiry)


def parse_publish(header: int, body: bytes, connect: Connect) -> Publish:
    length = int.from_bytes(body[:2], "big")
    position = 2 + length
    packet_id = int.from_bytes(body[position : position + 2], "big")
    position += 2
    if connect.level == 5:
        position += 1 + body[position]
    return Publish(
        connect.client,
        body[2 : 2 + length].decode(),
        body[position:],
        packet_id,
        qos=header >> 1 & 3,
        dup=bool(header & 8),
    )
