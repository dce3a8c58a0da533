"""A running listener whose handler remembers, and acknowledges only when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
import uvloop
from msgspec.structs import replace

from broker.credentials import Client, Credentials, ScryptHash
from broker.limits import Limits
from broker.listener import Addresses, Listener
from tests.broker.device import Device
from tests.support.waiting import until

if TYPE_CHECKING:
    from broker.publications import Publication, Publications
    from broker.tls import TlsFiles
    from broker.wills import Presence

SENSOR = Client("sensor", b"secret", ("t/#",))
HASHED = Client("hashed", ScryptHash.of(b"hidden"), ("h/+",))
LOOPBACK = Addresses(["127.0.0.1"])
MUTE = Client("mute", b"silent")


@dataclass
class Running:
    """A listener and what came through it."""

    listener: Listener = field(init=False)
    received: list[Publication] = field(default_factory=list)
    tokens: list[Publications] = field(default_factory=list)
    """Each publication that waits for its PUBACK, by itself."""
    presences: list[tuple[str, str, bool]] = field(default_factory=list)
    """Login, topic of the will, whether it is there."""
    batches: list[int] = field(default_factory=list)
    at_once: bool = False
    """Acknowledge in the handler, as an owner with nothing to commit would."""
    devices: list[Device] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.listener.port

    def handle(self, publications: Publications) -> None:
        self.received.extend(publications.items)
        exactly_once = frozenset(publications.steps)
        self.tokens += [
            replace(publications, items=[one], steps=[one.packet_id] if one.packet_id in exactly_once else ())
            for one in publications.items
            if one.packet_id
        ]
        self.tokens += [replace(publications, items=(), steps=[step]) for step in publications.steps if step < 0]
        self.batches.append(len(publications.items))
        if self.at_once:
            self.listener.acknowledge(publications)

    def told(self, presence: Presence) -> None:
        self.presences.append((presence.client, presence.topic, presence.is_there))

    def acknowledge(self, tokens: Iterable[Publications]) -> None:
        for one in tokens:
            self.listener.acknowledge(one)

    def refused(self, reason: str) -> int:
        return self.listener.counters["refused"].get(reason, 0)

    async def count(self, expected: int) -> None:
        await until(lambda: len(self.received) >= expected, what=f"{expected} publications")
        assert len(self.received) == expected

    async def dial(self, *, receive_buffer: int = 0) -> Device:
        self.devices.append(await Device.dial(self.port, receive_buffer=receive_buffer))
        return self.devices[-1]

    async def admitted(
        self, client_id: str = "dev-1", *, level: int = 4, clean: bool = True, keep_alive: int = 0
    ) -> Device:
        device = await Device.admitted(self.port, client_id, level=level, clean=clean, keep_alive=keep_alive)
        self.devices.append(device)
        return device


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Of pytest-asyncio: on uvloop, as the agent runs, too where transports encrypt: those are the loop's own."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name == "test_listener_tls.py":
        loops["uvloop"] = uvloop.new_event_loop
    return loops


Listen = Callable[..., Awaitable[Running]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Start listeners; all have stopped when the test has."""
    async with AsyncExitStack() as stack:

        async def start(
            limits: Limits | None = None,
            *,
            addresses: Addresses = LOOPBACK,
            tls: TlsFiles | None = None,
            at_once: bool = False,
            remembered: Mapping[str, Iterable[int]] = MappingProxyType({}),
        ) -> Running:
            running = Running(at_once=at_once)
            running.listener = Listener(
                addresses,
                credentials=Credentials([SENSOR, HASHED, MUTE]),
                handler=running.handle,
                limits=limits or Limits(linger_s=0.2),
                remembered=remembered,
                presence=running.told,
                tls=tls,
            )
            await running.listener.start()
            stack.push_async_callback(running.listener.stop)
            stack.push_async_callback(_close, running.devices)
            return running

        yield start


async def _close(devices: list[Device]) -> None:
    for device in devices:
        await device.close()
