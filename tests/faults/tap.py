"""A wire between an agent and its broker that writes down which publications it has carried to the agent."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PUBLISH: Final = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One PUBLISH, whole, on its way to the agent (OASIS MQTT 5.0, section 3.3)."""

    packet_id: int
    """0 at QoS 0."""
    topic: str
    payload: bytes
    is_copy: bool
    """DUP."""
    is_retained: bool


class Tap:
    """What `serving` serves to the agent in the broker's place."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.deliveries: list[Delivery] = []
        self.connections = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection; when the broker is gone the agent gets all that came before."""
        try:
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        self.connections += 1
        first = await reader.read(65_536)
        is_v5 = is_version_5(first)
        to_broker.write(first)
        upwards = asyncio.create_task(_carry(reader, to_broker))
        try:
            await self._deliver(from_broker, writer, is_v5=is_v5)
            if writer.can_write_eof():
                writer.write_eof()
            await upwards
        finally:
            upwards.cancel()
            to_broker.close()
            writer.close()

    async def _deliver(self, broker: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_v5: bool) -> None:
        stream = bytearray()
        with contextlib.suppress(OSError):
            while data := await broker.read(65_536):
                stream += data
                for first, body in _packets(stream):
                    if first >> 4 == _PUBLISH:
                        self.deliveries.append(_delivery(first, body, is_v5=is_v5))
                writer.write(data)
                await writer.drain()


def is_version_5(connect: bytes) -> bool:
    """Whether a CONNECT, if it is there at all, says so: behind a fixed header of two bytes and the protocol's name."""
    return connect[8:9] == b"\5"


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _packets(stream: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take every whole packet out of the stream: its first byte and its body."""
    while True:
        length, start = _variable(stream, 1)
        if not start or len(stream) < start + length:
            return
        yield stream[0], bytes(stream[start : start + length])
        del stream[: start + length]


def _variable(data: bytes | bytearray, position: int) -> tuple[int, int]:
    """A Variable Byte Integer (section 1.5.5), and where it ends; 0 while it is not whole."""
    value = shift = 0
    while position < len(data):
        value |= (data[position] & 0x7F) << shift
        shift += 7
        position += 1
        if data[position - 1] < 0x80:
            return value, position
    return 0, 0


def _delivery(first: int, body: bytes, *, is_v5: bool) -> Delivery:
    end = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:end].decode()
    packet_id = 0
    if first & 0x06:
        packet_id, end = int.from_bytes(body[end : end + 2], "big"), end + 2
    if is_v5:
        length, end = _variable(body, end)
        end += length
    return Delivery(packet_id, topic, body[end:], first & 0x08 != 0, first & 0x01 != 0)
