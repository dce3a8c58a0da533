from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bansui.free_port import free_port
from simulators.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    relay = Relay(("127.0.0.1", server.sockets[0].getsockname()[1]))
    await relay.open()
    yield relay
    await relay.close()
    server.close()


async def say(relay: Relay, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_bytes_pass_both_ways_and_the_end_passes_too(relay: Relay) -> None:
    data = bytes(range(256)) * 4000
    assert await say(relay, data) == data


async def test_cut_drops_what_is_connected_and_refuses_what_comes(relay: Relay) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"
    await relay.cut()
    with pytest.raises(ConnectionError):
        assert await reader.readexactly(1)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", relay.port)


async def test_mended_relay_has_the_port_it_had(relay: Relay) -> None:
    port = relay.port
    for _ in range(3):
        await relay.cut()
        await relay.mend()
        await relay.mend()
        assert relay.port == port
        assert await say(relay, b"again") == b"again"


async def test_caller_is_hung_up_on_when_the_centre_is_down() -> None:
    relay = Relay(("127.0.0.1", free_port()))
    await relay.open()
    try:
        assert await say(relay, b"hello") == b""
    finally:
        await relay.close()


async def test_a_mute_relay_passes_what_is_said_and_swallows_the_answer() -> None:
    heard = bytearray()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            heard.extend(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    relay = Relay(("127.0.0.1", server.sockets[0].getsockname()[1]))
    await relay.open()
    relay.is_mute = True
    try:
        assert await say(relay, b"question") == b""
        assert heard == b"question"
        relay.is_mute = False
        assert await say(relay, b"again") == b"again"
    finally:
        await relay.close()
        server.close()
