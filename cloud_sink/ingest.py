"""Where agents write: `POST /api/v2/write` and `POST /api/v1/agent-report`, 204 only when durable.

Requests and errors have InfluxDB v2's shape ("Write data with the InfluxDB API"), so that Telegraf can write here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from cloud_sink.admission import NotThisSchool, OutsideContract
from cloud_sink.decoding import TooManyLines
from cloud_sink.errors import refusal
from cloud_sink.inbox import Batch, ForkedBatch, InboxFault, InboxFull, Kind, Receipt
from telemetry import ContractViolation, LineProtocolError, UnknownInLine
from telemetry.uplink_contract import (
    APPLIED_HEADER,
    HEAD_HEADER,
    IDEMPOTENCY_HEADER,
    LARGEST_BODY,
    REPORT_PATH,
    TOLD_HEADER,
    WRITE_PATH,
    BatchId,
    BatchTooLarge,
    MalformedBatch,
    Told,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cloud_sink.access import Writer
    from cloud_sink.centre import Centre

MOST_IN_FLIGHT: Final = 8
"""Requests one agent may have open; an agent of ours has at most four."""
BODY_WITHIN_S: Final = 60.0
MOST_DRAINED: Final = 16 * LARGEST_BODY
"""How much of an oversize body is read and dropped, so that its sender gets to read the answer."""
_STATUS: Final[tuple[tuple[type[ContractViolation], int], ...]] = (
    (TooManyLines, 422),
    (BatchTooLarge, 413),
    (UnknownInLine, 422),
    (NotThisSchool, 403),
    (OutsideContract, 422),
    (ContractViolation, 400),
)


class Ingest:
    """Takes a batch from the wire to the inbox, or refuses it whole."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._in_flight: Counter[str] = Counter()

    def router(self) -> APIRouter:
        """The two paths agents write to."""
        router = APIRouter(tags=["uplink"])
        router.add_api_route(WRITE_PATH, self.write, methods=["POST"], status_code=204, response_class=Response)
        router.add_api_route(REPORT_PATH, self.report, methods=["POST"], status_code=204, response_class=Response)
        return router

    async def write(self, request: Request, org: str, bucket: str, precision: str) -> Response:
        """Take a gzip batch of line protocol; 204 when it is durable."""

        async def take(writer: Writer, batch_id: BatchId) -> Response:
            if precision != "ms":
                return refusal(400, f"precision is {precision!r}; this centre takes 'ms'")
            if org != self._centre.district.code or bucket != writer.school:
                return refusal(403, f"this token does not write for org {org!r}, bucket {bucket!r}")
            return await self._write(writer, batch_id, await _read_body(request))

        return await self._guarded(request, take)

    async def report(self, request: Request) -> Response:
        """Take an agent's report, sealed and numbered like a batch; 204 when it is durable."""

        async def take(writer: Writer, batch_id: BatchId) -> Response:
            body = await _read_body(request)
            try:
                await self._centre.decoding.report(body)
            except ContractViolation as error:
                return await self._refuse(writer, batch_id, body, error)
            return _stored(await self._centre.inbox.commit(Batch(writer.agent, batch_id, Kind.REPORT, body, 0)))

        return await self._guarded(request, take)

    async def _write(self, writer: Writer, batch_id: BatchId, body: bytes) -> Response:
        try:
            summaries = await self._centre.decoding.summaries(body)
            claimed = self._centre.admission.admit(writer.agent, writer.school, summaries)
        except ContractViolation as error:
            return await self._refuse(writer, batch_id, body, error)
        batch = Batch(writer.agent, batch_id, Kind.SUMMARIES, body, len(summaries), Told.of(summaries))
        try:
            receipt = await self._centre.inbox.commit(batch)
        except (ForkedBatch, InboxFull, InboxFault):
            self._centre.admission.release(claimed)
            raise
        return _stored(receipt)

    async def _refuse(self, writer: Writer, batch_id: BatchId, body: bytes, error: ContractViolation) -> Response:
        """Mark the batch as refused, durably, before the agent hears that it is.

        One that is stored stays so, whatever the centre asks for by now: its agent did not hear that it is.
        """
        if isinstance(error, NotThisSchool):  # the agent keeps the batch until somebody mends the token
            standing = await self._centre.inbox.standing(writer.agent, batch_id, body)
            return _violation(error) if standing is None else _stored(standing)
        receipt = await self._centre.inbox.refuse(writer.agent, batch_id, body)
        return _violation(error, _receipt_headers(receipt)) if receipt.is_refused else _stored(receipt)

    async def _guarded(self, request: Request, take: Callable[[Writer, BatchId], Awaitable[Response]]) -> Response:
        writer = self._centre.access.writer(request.headers.get("Authorization"))
        if writer is None:
            return refusal(401, "no agent has this token")
        if self._in_flight[writer.agent] >= MOST_IN_FLIGHT:
            return refusal(429, f"{MOST_IN_FLIGHT} requests of this agent are open", retry_after_s=1)
        self._in_flight[writer.agent] += 1
        try:
            return await take(writer, BatchId.parse(request.headers.get(IDEMPOTENCY_HEADER, "")))
        except ForkedBatch as error:
            if error.is_copy:
                self._centre.memory.copies[writer.agent] = self._centre.clock.now()
            return refusal(409, str(error), headers=_fork_headers(error))
        except (InboxFull, InboxFault, TimeoutError) as error:  # to be sent again, as it is
            return refusal(408 if isinstance(error, TimeoutError) else 503, str(error), retry_after_s=2)
        except ContractViolation as error:
            return _violation(error)
        finally:
            self._in_flight[writer.agent] -= 1


async def _read_body(request: Request) -> bytes:
    """The body, never holding more than the contract allows.

    Raises `BatchTooLarge`, `MalformedBatch`, and TimeoutError of a line that stalls: that says nothing of the batch.
    """
    if request.headers.get("Content-Encoding", "").lower() != "gzip":
        raise MalformedBatch("the body is not gzip: Content-Encoding is not 'gzip'")
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > LARGEST_BODY:
                    body.clear()
                else:
                    body += chunk
                if size > MOST_DRAINED:
                    break
    except (TimeoutError, ClientDisconnect):
        raise TimeoutError(f"the body did not arrive whole within {BODY_WITHIN_S:.0f} s") from None
    if size > LARGEST_BODY:
        raise BatchTooLarge(f"the body is larger than {LARGEST_BODY} bytes")
    return bytes(body)


def _stored(receipt: Receipt) -> Response:
    return Response(status_code=204, headers=_receipt_headers(receipt))


def _receipt_headers(receipt: Receipt) -> dict[str, str]:
    return {APPLIED_HEADER: f"{receipt.epoch}-{receipt.applied}", HEAD_HEADER: receipt.head.hex()}


def _fork_headers(error: ForkedBatch) -> dict[str, str]:
    told = {} if error.told is None else {TOLD_HEADER: str(error.told)}
    return {**_receipt_headers(error.receipt), **told}


def _violation(error: ContractViolation, headers: Mapping[str, str] | None = None) -> Response:
    """The refusal; `headers` say that the centre has marked the batch, so that its number leaves no gap."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    place: dict[str, int] = {}
    if isinstance(error, LineProtocolError):
        place = {"line": error.line, "column": error.column}
    elif isinstance(error, OutsideContract):
        place = {"line": error.line}
    return refusal(status, str(error), headers=headers, **place)
