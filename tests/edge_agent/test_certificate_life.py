"""How long the centre's certificate is good for, read off a real line."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from edge_agent.certificate_life import NONE, CertificateLife
from edge_agent.events import Delivered, Event, Send
from edge_agent.uplink import Uplink
from telemetry.uplink_contract import WRITE_PATH, BatchId, seal
from tests.edge_agent.servers import DURABLE, Centre
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_MS = int(NOW.timestamp() * 1000)
DAY_MS = 86_400_000


async def told(server_ssl: ssl.SSLContext | None, client_ssl: ssl.SSLContext | bool) -> Callable[[int], int]:
    """What an uplink that delivered a batch says of the line."""
    centre, events, life = Centre(DURABLE), list[Event](), CertificateLife()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await centre.answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_ssl)
    scheme, port = "https" if server_ssl else "http", server.sockets[0].getsockname()[1]
    uplink = Uplink(
        f"{scheme}://localhost:{port}",
        "a-token",
        read_token=lambda: "a-token",
        district="changning",
        school="cn-002",
        report=events.append,
        certificate=life,
        transport=httpx.AsyncHTTPTransport(verify=client_ssl),
    )
    sending = asyncio.create_task(uplink.run())
    try:
        uplink.offer(Send(BatchId("0123456789abcdef", 7), WRITE_PATH, seal(b"a line\n")))
        await until(lambda: events, 20)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        server.close()
        await server.wait_closed()
    assert isinstance(events[0], Delivered)
    return life.days


async def test_the_days_of_a_certificate_are_those_until_it_ends() -> None:
    """Whole days, and none less than none."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", not_after=NOW + timedelta(days=20, hours=1))
    server_ssl, client_ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    issued.configure_cert(server_ssl)
    authority.configure_trust(client_ssl)
    days = await told(server_ssl, client_ssl)
    assert [days(NOW_MS + after * DAY_MS) for after in (0, 1, 20, 21, 400)] == [20, 19, 0, 0, 0]


async def test_a_line_without_tls_has_no_certificate() -> None:
    """The contract's -1."""
    days = await told(None, client_ssl=True)
    assert days(NOW_MS) == NONE


@pytest.mark.parametrize("extensions", [{}, {"network_stream": None}])
def test_an_answer_that_came_by_no_line_says_nothing(extensions: dict[str, object]) -> None:
    """A transport that is not a network's has none to look at."""
    life = CertificateLife()
    life.seen(httpx.Response(204, extensions=extensions))
    assert life.days(NOW_MS) == NONE
