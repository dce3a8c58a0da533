"""A school whose agent has lived a little, and its pages over real HTTP, on a clock that stands until it is moved."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final

from edge_agent.config_file import load
from edge_agent.discovery.proposals import Proposal, Source, Transport
from edge_agent.local.wiring import local_pages
from edge_agent.timing import Timing
from telemetry import Placement
from tests.edge_agent.harness import HOUR, MINUTE, MONDAY_9, Bench, bind, delivered
from tests.edge_agent.running import LISTENER, configure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.local.pages import LocalPages

DEVICES: Final = (
    bind("qx-7f3a", ("carbon_dioxide", "temperature", "sound_pressure", "motion", "battery")),
    bind("qx-81bb", ("temperature", "wind_speed"), placement=Placement.OUTDOOR),
    bind("qx-90cc", ("people_count",)),
    bind("qx-a1dd", ("smoke",)),
)
PAGES: Final = """
[pages]
host = "127.0.0.1"
port = 0
address = "http://10.20.0.5:9465"
"""
ROOMS: Final = """
[[room]]
code = "roof"
building = "a"
placement = "outdoor"
"""

NEW: Final = [
    Proposal(Source.ZIGBEE2MQTT, Transport.MQTT, "zigbee2mqtt/air-a-301", ("zigbee2mqtt",)),
    Proposal(Source.CHIRPSTACK, Transport.MQTT, "application/1/device/24e124725c140000/event/#"),
]


class Looking:
    """The pages of a Monday that began at nine, and whoever reads them."""

    def __init__(self, folder: Path) -> None:
        self.config = configure(folder, PAGES, LISTENER, ROOMS)
        self.bench = Bench(folder / "state", devices=DEVICES, timing=Timing(lateness_ms=2 * MINUTE))
        found = local_pages(load(self.config), self.bench.core, folder / "state", self.bench.clock, lambda: NEW)
        assert found is not None
        self.pages: LocalPages = found

    def live(self, minutes: int, co2: int = 640) -> None:
        """Minutes with a reading of each device; the centre acknowledges what it is sent."""
        for minute in range(minutes):
            self.bench.read("qx-7f3a", ["carbon_dioxide", co2], ["temperature", 21.5], ["motion", minute % 2])
            self.bench.read("qx-81bb", ["temperature", 14], ["wind_speed", 3])
            self.bench.read("qx-90cc", ["people_count", 41])
            self.bench.until_closed(MINUTE)
            while self.bench.sends:
                self.bench.answer(delivered)

    async def get(self, path: str, language: str = "en") -> tuple[str, dict[str, str], str]:
        """Status line, headers and body of a page."""
        return await get(self.pages.port, path, language)


async def get(port: int, path: str, language: str = "en") -> tuple[str, dict[str, str], str]:
    """The same from a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Language: {language}\r\n\r\n".encode())
    await writer.drain()
    head, _, body = (await asyncio.wait_for(reader.read(), 20)).decode().partition("\r\n\r\n")
    writer.close()
    status, *lines = head.split("\r\n")
    return status, {name: value for name, _, value in (line.partition(": ") for line in lines)}, body


@contextlib.contextmanager
def served(pages: LocalPages) -> Iterator[str]:
    """The pages on a loop of their own thread, for a browser; gives their address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(pages.start(), loop).result(10)
        yield f"http://127.0.0.1:{pages.port}"
        asyncio.run_coroutine_threadsafe(pages.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


TEN: Final = MONDAY_9 + HOUR
