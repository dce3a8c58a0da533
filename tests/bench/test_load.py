"""The load is what it says: so many messages, all acknowledged, and latencies from the time a message was due."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bench._load import PASSWORD, USER, Load, Loaded, percentile
from broker.credentials import Client, Credentials
from broker.listener import Addresses, Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.publications import Publications

HOLD_S = 0.6


class _Endpoint:
    """A listener that acknowledges at once, or nothing before a while after the first message."""

    def __init__(self, hold_s: float = 0.0) -> None:
        self.topics: Counter[str] = Counter()
        self._hold_s = hold_s
        self._opens_at: float | None = None
        credentials = Credentials([Client(USER, PASSWORD.encode(), ("zigbee2mqtt/#",))])
        self.listener = Listener(Addresses(["127.0.0.1"]), credentials=credentials, handler=self._take)

    def _take(self, publications: Publications) -> None:
        self.topics.update(item.topic for item in publications.items)
        loop = asyncio.get_running_loop()
        if self._opens_at is None:
            self._opens_at = loop.time() + self._hold_s
        loop.call_at(self._opens_at, self.listener.acknowledge, publications)


@asynccontextmanager
async def _serving(endpoint: _Endpoint) -> AsyncIterator[int]:
    await endpoint.listener.start()
    try:
        yield endpoint.listener.port
    finally:
        await endpoint.listener.stop()


async def _run(load: Load) -> Loaded:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench._load",
        load.as_json(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(b"\n"), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    ready, _, found = out.partition(b"\n")
    assert ready == b"ready"
    return Loaded(**json.loads(found))


async def test_a_flood_is_complete() -> None:
    """Every device publishes its share, over the connection it has in common with others."""
    endpoint = _Endpoint()
    async with _serving(endpoint) as port:
        await _run(Load(port=port, devices=40, connections=8, fields=8, messages=4_000, under_way=50))
    assert endpoint.topics == {f"zigbee2mqtt/d-{device}": 100 for device in range(40)}


async def test_a_scheduled_load_is_complete() -> None:
    """As much, at a rate."""
    endpoint = _Endpoint()
    async with _serving(endpoint) as port:
        loaded = await _run(
            Load(port=port, devices=40, connections=8, fields=1, messages=400, under_way=50, rate=2_000)
        )
    assert endpoint.topics == {f"zigbee2mqtt/d-{device}": 10 for device in range(40)}
    assert loaded.seconds >= 399 / 2_000


async def test_a_message_that_could_not_be_sent_counts_as_slow() -> None:
    """One device that may have one message under way, and whose first PUBACK takes long: the wait of those that were
    due meanwhile is in their latency, though each was answered at once when it was sent.
    """
    endpoint = _Endpoint(HOLD_S)
    async with _serving(endpoint) as port:
        loaded = await _run(Load(port=port, devices=1, connections=1, fields=1, messages=20, under_way=1, rate=100))
    median, _, longest = loaded.latency_ms
    assert longest >= 1000 * HOLD_S
    assert median >= 1000 * (HOLD_S - 20 / 100)


def test_percentiles() -> None:
    """Of few values the highest ones, and of none nothing."""
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (51, 100, 100)
    assert percentile([], 0.99) == 0
