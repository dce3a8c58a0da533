"""Servers of simulated devices that close while somebody connects: the caller is hung up on, nothing is left."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from simulators.asked_server import AskedServer
from tests.simulators.test_pjlink import serving

if TYPE_CHECKING:
    from simulators.pjlink_server import ProjectorServer
    from simulators.scenarios import Scenario


async def call_and_close(server: AskedServer | ProjectorServer, turns: int) -> bytes:
    """What a caller hears of a server that is closed so many turns of the loop after the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(turns):
        await asyncio.sleep(0)
    await server.close()
    try:
        async with asyncio.timeout(2):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("turns", range(8))
async def test_a_projector_hangs_up(school_day: Scenario, turns: int, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(school_day) as server:
        assert await call_and_close(server, turns) in (b"", b"PJLINK 0\r")
    gc.collect()
    assert caplog.text == ""


@pytest.mark.parametrize("turns", range(8))
async def test_a_device_that_is_asked_hangs_up(turns: int, caplog: pytest.LogCaptureFixture) -> None:
    server = AskedServer([], lambda _device, _readings, _delivered: None)
    await server.open()
    assert await call_and_close(server, turns) == b""
    gc.collect()
    assert caplog.text == ""
