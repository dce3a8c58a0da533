"""A centre's certificate that expires while an uplink works: nothing is told to it, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import httpx

from edge_agent.events import Delivered, Event, Send, Undelivered
from edge_agent.uplink import Uplink
from simulators.faults import parse
from simulators.pace import Pace
from simulators.relay import Relay
from simulators.scenarios import load
from simulators.striker import EXPIRED, Striker
from simulators.truth import Truth
from telemetry import ScaledClock, SystemClock
from telemetry.uplink_contract import WRITE_PATH, BatchId, seal
from tests.edge_agent.servers import DURABLE, Centre
from tests.support.certificates import Authority
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

BATCH = Send(BatchId("0123456789abcdef", 7), WRITE_PATH, seal(b"a line\n"))


async def test_an_uplink_refuses_the_expired_certificate_by_name_and_delivers_when_the_valid_one_is_back(
    tmp_path: Path,
) -> None:
    """It trusts who signed either, so that the date is all it can object to."""
    authority, centre, events = Authority(tmp_path), Centre(DURABLE), list[Event]()
    files, valid = authority.server(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    valid.load_cert_chain(files.certificate, files.key)
    trusting = ssl.create_default_context(cafile=authority.file)
    trusting.load_verify_locations(EXPIRED)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await centre.answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=valid)
    relay = Relay(("127.0.0.1", server.sockets[0].getsockname()[1]))
    await relay.open()
    uplink = Uplink(
        f"https://localhost:{relay.port}",
        "a-token",
        read_token=lambda: "a-token",
        district="changning",
        school="cn-002",
        report=events.append,
        transport=httpx.AsyncHTTPTransport(verify=trusting),
    )
    sending = asyncio.create_task(uplink.run())
    scenario = load("school-day")
    clock = ScaledClock(scenario.moment("10:00"), SystemClock().now(), 600.0)
    expiry = parse("certificate-expiry@10:10+20m", scenario)
    striking = asyncio.create_task(Striker(Pace(clock), Truth(scenario, 1, clock), relay, None).strike(expiry))

    async def try_once() -> None:
        told = len(events)
        uplink.offer(BATCH)
        await until(lambda: len(events) > told, 20)

    try:
        while not striking.done():
            await try_once()
            await asyncio.sleep(0.02)
        await striking
        await try_once()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await relay.close()
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)
    reasons = [event.reason for event in events if isinstance(event, Undelivered)]
    assert "no connection (certificate has expired)" in reasons
    assert isinstance(events[0], Delivered)
    assert isinstance(events[-1], Delivered)
    unheard = len(centre.requests) - sum(isinstance(event, Delivered) for event in events)
    under_way = sum(reasons.count(f"no connection ({error})") for error in ("ReadError", "RemoteProtocolError"))
    assert 0 <= unheard <= min(under_way, 1), "but for one whose answer the cut took away, the centre was told no more"
