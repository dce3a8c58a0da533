"""The uplink: only the centre's own word counts, and whatever else answers is no more than a delay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

import pytest

from bansui.free_port import free_port
from edge_agent import uplink as module
from edge_agent.config_file import first_line
from edge_agent.events import Applied, Delivered, Event, Forked, Refused, Send, Undelivered
from edge_agent.transactions import Span
from edge_agent.uplink import Probe, Uplink, probe
from telemetry.uplink_contract import REPORT_PATH, WRITE_PATH, BatchId, seal
from tests.edge_agent.servers import DURABLE, Centre, reply, serving
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

BATCH: Final = BatchId("0123456789abcdef", 7)
DELIVERED: Final = Delivered(BATCH, Applied(70, bytes(32)))
TOKEN: Final = "a-token-that-nobody-may-see"
BODY: Final = seal(b"a line\n")


@contextlib.asynccontextmanager
async def uplink_to(
    url: str, read_token: Callable[[], str] = lambda: TOKEN
) -> AsyncIterator[tuple[Uplink, list[Event]]]:
    events: list[Event] = []
    uplink = Uplink(url, TOKEN, read_token=read_token, district="changning", school="cn-002", report=events.append)
    task = asyncio.create_task(uplink.run())
    yield uplink, events
    assert not task.done(), "the uplink has ended"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def arrived(events: list[Event], number: int) -> None:
    await until(lambda: len(events) >= number, what=f"{number} outcomes")


async def outcomes(*replies: bytes | None, path: str = WRITE_PATH) -> tuple[list[Event], Centre]:
    """What the uplink reports of one batch for each reply."""
    centre = Centre(*replies)
    async with serving(centre.answer) as port, uplink_to(f"http://127.0.0.1:{port}") as (uplink, events):
        for number in range(1, len(replies) + 1):
            uplink.offer(Send(BATCH, path, BODY))
            await arrived(events, number)
    return events, centre


async def test_durable_is_delivered() -> None:
    """204 with the mark of this epoch; the request is the contract's to the letter."""
    events, centre = await outcomes(DURABLE)
    assert events == [DELIVERED]
    [request] = centre.requests
    assert request.path == "/api/v2/write?org=changning&bucket=cn-002&precision=ms"
    assert request.body == BODY
    assert request.headers["authorization"] == f"Token {TOKEN}"
    assert request.headers["idempotency-key"] == "0123456789abcdef-7"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_report_goes_to_its_own_path() -> None:
    """The same identity and seal, as JSON, without the query of a write."""
    events, centre = await outcomes(DURABLE, path=REPORT_PATH)
    assert events == [DELIVERED]
    assert centre.requests[0].path == REPORT_PATH
    assert centre.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "answer",
    [
        reply(204),
        reply(204, "Bansui-Applied: nonsense"),
        reply(204, "Bansui-Applied: ffffffffffffffff-7"),
        reply(200, body=b"thank you"),
        reply(302, "Location: http://127.0.0.1:1/elsewhere"),
        reply(500, body=b"{}"),
        reply(404),
        reply(408),
        reply(409),
        reply(409, "Bansui-Applied: 0123456789abcdef-6"),
        reply(409, "Bansui-Applied: ffffffffffffffff-6", f"Bansui-Ledger-Head: {'0' * 64}"),
        reply(200, "Content-Encoding: gzip", body=b"this is no gzip"),
        reply(500, f"Date: Mon, 01 Jan {'9' * 30} 00:00:00 GMT"),
        b"220 smtp.example ESMTP\r\n\r\n",
        b"\x00\xff" * 100,
        b"HTTP/1.1 204 OK\r\nContent-Length: banana\r\n\r\n",
        None,
    ],
)
async def test_nothing_else_is_a_delivery(answer: bytes | None) -> None:
    """A proxy's 204, a redirect, a page, another protocol, a hang-up: the batch is kept, and the uplink goes on."""
    events, _ = await outcomes(answer, DURABLE)
    assert isinstance(events[0], Undelivered)
    assert events[0].batch == BATCH
    assert events[1] == DELIVERED


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal(status: int) -> None:
    """The centre will never take this batch as it is."""
    assert (await outcomes(reply(status, body=b'{"code":"invalid"}')))[0] == [Refused(BATCH, status)]


async def test_a_fork() -> None:
    """409 with the centre's mark: it cannot put this batch behind those it has."""
    mark = reply(409, "Bansui-Applied: 0123456789abcdef-0", f"Bansui-Ledger-Head: {'0' * 64}")
    assert (await outcomes(mark))[0] == [Forked(BATCH, Applied(0, bytes(32)))]


@pytest.mark.parametrize(
    ("told", "span"),
    [("1000-5000", Span(1000, 5000)), ("0-0", Span(0, 0)), ("5000-1000", None), ("all", None), ("1-2-3", None)],
)
async def test_a_fork_that_says_what_the_other_copy_told(told: str, span: Span | None) -> None:
    """What is not a span says nothing."""
    lines = ("Bansui-Applied: 0123456789abcdef-3", f"Bansui-Ledger-Head: {'0' * 64}", f"Bansui-Told: {told}")
    assert (await outcomes(reply(409, *lines)))[0] == [Forked(BATCH, Applied(3, bytes(32)), span)]


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (reply(401), 60.0),
        (reply(403), 60.0),
        (reply(429, "Retry-After: 7"), 7.0),
        (reply(503, "Retry-After: 30"), 30.0),
        (reply(503, "Retry-After: 999999999"), 3600.0),
        (reply(503, "Retry-After: -1"), None),
        (reply(503, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (reply(503, "Date: Wed, 21 Oct 2026 07:27:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"), 60.0),
        (reply(503, "Date: Wed, 21 Oct 2026 07:29:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"), 0.0),
        (reply(503, "Date: Wed, 21 Oct 2026 07:29:00 GMT", f"Retry-After: Wed, 21 Oct {'9' * 30} 07:28:00 GMT"), None),
        (reply(503), None),
    ],
)
async def test_how_long_to_wait(answer: bytes, wait: float | None) -> None:
    """As long as the centre asks, at most an hour; a wrong token is in no hurry."""
    [event] = (await outcomes(answer))[0]
    assert isinstance(event, Undelivered)
    assert event.retry_after_s == wait


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (reply(400), Probe(knows_token=True)),
        (reply(401), Probe()),
        (reply(200, "Content-Encoding: gzip", body=b"no gzip"), Probe("what answers there is no centre: HTTP 200")),
    ],
)
async def test_a_knock(answer: bytes, found: Probe) -> None:
    """Whoever answers, the knock ends with a word: of the centre, or of what is no centre."""
    centre = Centre(answer)
    async with serving(centre.answer) as port:
        assert await asyncio.to_thread(probe, f"http://127.0.0.1:{port}", TOKEN, None, timeout_s=5) == found


async def test_a_token_that_was_changed(tmp_path: Path) -> None:
    """Refused, the file is read again; with another token the batch is offered at once, with the same it waits."""
    file, centre = tmp_path / "token", Centre(reply(401), reply(401), reply(401), DURABLE)
    async with serving(centre.answer) as port:
        url = f"http://127.0.0.1:{port}"
        async with uplink_to(url, lambda: first_line(file)) as (uplink, events):
            for number, content in enumerate((None, TOKEN, "another"), start=1):
                if content is not None:
                    file.write_text(f"{content}\n")
                uplink.offer(Send(BATCH, WRITE_PATH, BODY))
                await arrived(events, number)
    assert [type(event) for event in events] == [Undelivered, Undelivered, Delivered]
    assert [request.headers["authorization"] for request in centre.requests] == [
        *[f"Token {TOKEN}"] * 3,
        "Token another",
    ]


async def test_nobody_there() -> None:
    """A refused connection is an answer too."""
    async with uplink_to(f"http://127.0.0.1:{free_port()}") as (uplink, events):
        uplink.offer(Send(BATCH, WRITE_PATH, BODY))
        await arrived(events, 1)
    assert events == [Undelivered(BATCH, "no connection (ConnectError)")]


async def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that drip for ever are given up on; a body without end is never read."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"X")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
            await writer.drain()

    monkeypatch.setattr(module, "WHOLE_TIMEOUT_S", 0.2)
    for answer, reason in ((drip, "no connection (TimeoutError)"), (pour, "HTTP 500")):
        async with serving(answer) as port, uplink_to(f"http://127.0.0.1:{port}") as (uplink, events):
            uplink.offer(Send(BATCH, WRITE_PATH, BODY))
            await arrived(events, 1)
        assert events == [Undelivered(BATCH, reason)]


async def test_one_batch_after_another() -> None:
    """What was offered first arrives first, and nothing overtakes it."""
    centre = Centre(DURABLE)
    async with serving(centre.answer) as port, uplink_to(f"http://127.0.0.1:{port}") as (uplink, events):
        for number in range(1, 21):
            uplink.offer(Send(BatchId(BATCH.epoch, number), WRITE_PATH, BODY))
        await arrived(events, 20)
    assert [request.headers["idempotency-key"] for request in centre.requests] == [
        f"{BATCH.epoch}-{number}" for number in range(1, 21)
    ]


async def test_said_once_down_and_once_up(caplog: pytest.LogCaptureFixture) -> None:
    """However often it fails; and neither token nor body stands in any log, at any level."""
    caplog.set_level(logging.DEBUG)
    await outcomes(reply(503), reply(502), None, DURABLE, DURABLE)
    ours = [record.getMessage() for record in caplog.records if record.name == "edge_agent.uplink"]
    assert ours == ["the centre is out of reach: HTTP 503; batches are kept", "the centre answers again"]
    assert TOKEN not in caplog.text
    assert "a line" not in caplog.text


async def test_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would be a second way out of the school."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await outcomes(DURABLE))[0] == [DELIVERED]
