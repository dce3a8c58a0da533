"""A device's side of MQTT in raw bytes, written from the OASIS documents and not from our codec."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"
DISCONNECT = b"\xe0\x00"


def varint(value: int) -> bytes:
    out = b""
    while True:
        value, digit = divmod(value, 128)
        out += bytes((digit | (0x80 if value else 0),))
        if not value:
            return out


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def packet(first: int, body: bytes = b"") -> bytes:
    return bytes((first,)) + varint(len(body)) + body


def connect(
    client_id: str = "dev-1",
    *,
    level: int = 4,
    clean: bool = True,
    keep_alive: int = 0,
    username: str | None = "sensor",
    password: bytes | None = b"secret",
    properties: bytes = b"",
    will: tuple[str, bytes, int] | None = None,
    will_properties: bytes = b"",
    will_retain: bool = False,
    name: str = "MQTT",
) -> bytes:
    flags = 0x02 if clean else 0
    is_v5 = level >= 5
    body = text(client_id)
    if will is not None:
        topic, message, qos = will
        flags |= 0x04 | qos << 3 | will_retain << 5
        body += (varint(len(will_properties)) + will_properties if is_v5 else b"") + text(topic) + text(message)
    if username is not None:
        flags |= 0x80
        body += text(username)
    if password is not None:
        flags |= 0x40
        body += text(password)
    head = text(name) + bytes((level, flags)) + struct.pack(">H", keep_alive)
    return packet(0x10, head + (varint(len(properties)) + properties if is_v5 else b"") + body)


def publish(
    topic: str | bytes = "t/1",
    payload: bytes = b"{}",
    *,
    packet_id: int | None = None,
    qos: int | None = None,
    dup: bool = False,
    retain: bool = False,
    properties: bytes | None = None,
) -> bytes:
    qos = (0 if packet_id is None else 1) if qos is None else qos
    body = text(topic)
    if packet_id is not None:
        body += struct.pack(">H", packet_id)
    if properties is not None:
        body += varint(len(properties)) + properties
    return packet(0x30 | dup << 3 | qos << 1 | retain, body + payload)


def subscribe(*filters: str, packet_id: int = 9, is_v5: bool = False) -> bytes:
    body = b"".join(text(one) + b"\x01" for one in filters)
    return packet(0x82, struct.pack(">H", packet_id) + (b"\0" if is_v5 else b"") + body)


def unsubscribe(*filters: str, packet_id: int = 9, is_v5: bool = False) -> bytes:
    return packet(
        0xA2, struct.pack(">H", packet_id) + (b"\0" if is_v5 else b"") + b"".join(text(one) for one in filters)
    )


def puback(packet_id: int, reason: int | None = None) -> bytes:
    tail = b"" if reason is None else bytes((reason,))
    return packet(0x40, struct.pack(">H", packet_id) + tail)


@dataclass
class Device:
    """One open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def dial(cls, port: int, *, receive_buffer: int = 0) -> Device:
        # With its protocol named, asyncio sets TCP_NODELAY: what a test sends is not held back by Nagle.
        plug = socket.socket(proto=socket.IPPROTO_TCP)
        plug.setblocking(False)
        if receive_buffer:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", port))
        except BaseException:  # a device that is cancelled meanwhile, too, leaves no socket behind
            plug.close()
            raise
        return cls(*await asyncio.open_connection(sock=plug, limit=receive_buffer or 65_536))

    @classmethod
    async def admitted(
        cls, port: int, client_id: str = "dev-1", *, level: int = 4, clean: bool = True, keep_alive: int = 0
    ) -> Device:
        device = await cls.dial(port)
        await device.send(connect(client_id, level=level, clean=clean, keep_alive=keep_alive))
        kind, body = await device.read_packet()
        assert kind == 0x20, "CONNACK"
        assert body[1] == 0, f"refused with {body[1]:#x}"
        return device

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_packet(self) -> tuple[int, bytes]:
        """First byte and body of the next packet."""
        async with asyncio.timeout(10):
            first = (await self.reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self.reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return first, await self.reader.readexactly(length)

    async def read_to_end(self) -> bytes:
        """All that comes until the other side closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def pubacks(self, count: int) -> list[int]:
        """The packet ids of the next `count` packets, which must be PUBACKs of success."""
        found = []
        for _ in range(count):
            kind, body = await self.read_packet()
            assert kind == 0x40
            assert len(body) == 2
            found.append(int.from_bytes(body, "big"))
        return found

    async def expect_silence(self) -> None:
        """Nothing is under way to us: a PINGREQ is answered first."""
        await self.send(PINGREQ)
        assert await self.read_packet() == (0xD0, b"")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
