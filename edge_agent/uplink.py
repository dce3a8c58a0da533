"""The one connection to the centre: offers sealed bytes, and reports what the centre says of them.

Nothing counts as delivered but the centre's own word: 204 with its applied mark. What a proxy answers is a failure.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx

from edge_agent.certificate_life import CertificateLife
from edge_agent.client_tls import TrustUnusable, context_of, why_not
from edge_agent.events import Applied, Delivered, Forked, Refused, Undelivered
from edge_agent.transactions import Span
from telemetry import ConfigurationError, ContractViolation
from telemetry.uplink_contract import (
    APPLIED_HEADER,
    GENESIS,
    HEAD_HEADER,
    IDEMPOTENCY_HEADER,
    REPORT_PATH,
    TOLD_HEADER,
    WRITE_PATH,
    BatchId,
    Told,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.client_tls import ClientTls
    from edge_agent.events import Event, Send

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 30.0
WHOLE_TIMEOUT_S: Final = 120.0
"""For one batch from first byte to answer, however slowly a line drips."""
NOT_OURS_WAIT_S: Final = 60.0
"""After 401 or 403: somebody has to change something, so there is no hurry."""
_REFUSALS: Final = frozenset({400, 413, 422})
_NOT_OURS: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_LONGEST_RETRY_AFTER_S: Final = 3600.0


class Uplink:
    """Sends one batch after another, and reports each outcome as an event, on the loop.

    `read_token` gives the token as it stands today: it is asked again when the centre does not know the last one.
    `heard` is told by how many seconds this machine's clock is ahead of the centre's, whenever its own word is heard.
    `certificate` is shown the line of every answer. `tls` says whom to believe; its CA's file is read again when the
    centre is not believed.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        read_token: Callable[[], str],
        district: str,
        school: str,
        report: Callable[[Event], None],
        heard: Callable[[float], None] = lambda _offset_s: None,
        certificate: CertificateLife | None = None,
        tls: ClientTls | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raises `TrustUnusable`."""
        self.tls = tls
        self._trusted = context_of(tls)
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"User-Agent": "bansui"},
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            verify=self._trusted,
            trust_env=False,  # a proxy from the environment would be a second way out of the school
        )
        self.token = token
        """The one that is shown to the centre."""
        self._read_token = read_token
        self._query = {"org": district, "bucket": school, "precision": "ms"}
        self._report = report
        self._heard = heard
        self._certificate = certificate or CertificateLife()
        self._queue: asyncio.Queue[Send] = asyncio.Queue()
        self._down = ""

    @property
    def is_up(self) -> bool:
        """Whether the last batch was delivered; true before the first."""
        return not self._down

    def offer(self, send: Send) -> None:
        """Send this after what was offered before."""
        self._queue.put_nowait(send)

    async def run(self) -> None:
        """Send what is offered, until cancelled."""
        async with self._client:
            while True:
                send = await self._queue.get()
                event = await self._post(send)
                self._note(event)
                self._report(event)

    async def _post(self, send: Send) -> Event:
        response = await self._ask(send)
        if isinstance(response, httpx.Response) and response.status_code in _NOT_OURS and self._has_other_token():
            response = await self._ask(send)
        if isinstance(response, Undelivered):
            return response
        event = outcome(send.batch, response)
        offset_s = _clock_offset_s(response)
        if offset_s is not None and not isinstance(event, Undelivered):
            self._heard(offset_s)
        return event

    def _has_other_token(self) -> bool:
        """Whether the token was changed since it was read; from here on the other one is shown."""
        try:
            token = self._read_token()
        except ConfigurationError:  # as one that is being written: asked again after the next refusal
            return False
        is_other, self.token = token != self.token, token
        return is_other

    async def _ask(self, send: Send) -> httpx.Response | Undelivered:
        headers = {
            "Authorization": f"Token {self.token}",
            IDEMPOTENCY_HEADER: str(send.batch),
            "Content-Encoding": "gzip",
        }
        query = self._query if send.path == WRITE_PATH else {}
        headers["Content-Type"] = "text/plain; charset=utf-8" if send.path == WRITE_PATH else "application/json"
        request = self._client.build_request("POST", send.path, content=send.body, headers=headers, params=query)
        try:
            async with asyncio.timeout(WHOLE_TIMEOUT_S):
                response = await self._client.send(request, stream=True)
                self._certificate.seen(response)
                await response.aclose()  # status and headers say it all; a body may be without end
        except (httpx.RequestError, TimeoutError) as error:
            reason = why_not(error)
            if reason and self.tls is not None:
                self.tls.read_ca_again(self._trusted)
            return Undelivered(send.batch, f"no connection ({reason or type(error).__name__})")
        return response

    def _note(self, event: Event) -> None:
        """Say once that the line is down, and once that it is up."""
        reason = event.reason if isinstance(event, Undelivered) else ""
        if reason and not self._down:
            _log.warning("the centre is out of reach: %s; batches are kept", reason)
        elif not reason and self._down:
            _log.info("the centre answers again")
        self._down = reason


@dataclass(frozen=True, slots=True)
class Probe:
    """What one look at the centre told."""

    failure: str = ""
    """Why it did not answer; empty when it did."""
    knows_token: bool = False
    offset_s: float | None = None
    """How far this machine's clock is ahead of the centre's, to the second of its Date header."""


def probe(url: str, token: str, tls: ClientTls | None, *, timeout_s: float) -> Probe:
    """Knock without delivering: a request with no batch in it is refused, by 401 where the token is unknown."""
    headers = {"Authorization": f"Token {token}", "User-Agent": "bansui"}
    try:
        with httpx.stream(
            "POST",
            f"{url}{REPORT_PATH}",
            headers=headers,
            timeout=timeout_s,
            verify=context_of(tls),
            trust_env=False,
        ) as response:
            pass  # status and headers say it all, and who answers may be anybody
    except TrustUnusable as error:
        return Probe(failure=error.what)
    except httpx.TransportError as error:
        return Probe(failure=why_not(error) or str(error) or type(error).__name__)
    if response.status_code not in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED):
        return Probe(failure=f"what answers there is no centre: HTTP {response.status_code}")
    knows_token = response.status_code == httpx.codes.BAD_REQUEST
    return Probe(knows_token=knows_token, offset_s=_clock_offset_s(response))


def _clock_offset_s(response: httpx.Response) -> float | None:
    """How far this machine's clock is ahead of what the answer is dated, to the second; None where it has no date."""
    try:
        return time.time() - parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):  # the latter of numbers that no date has
        return None


def outcome(batch: BatchId, response: httpx.Response) -> Event:
    """What an answer means for the batch (design section 6, uplink contract)."""
    status = response.status_code
    if status == httpx.codes.NO_CONTENT:
        applied = _applied(batch, response)
        return Delivered(batch, applied) if applied else Undelivered(batch, "204 without the centre's mark")
    if status in _REFUSALS:
        _log.error("the centre refuses batch %s: %d", batch, status)
        return Refused(batch, status, _applied(batch, response))
    if status == httpx.codes.CONFLICT:
        if (applied := _applied(batch, response)) is None:
            return Undelivered(batch, "409 without the centre's mark")
        return Forked(batch, applied, _told(response))
    if status in _NOT_OURS:
        return Undelivered(batch, f"HTTP {status}: the token is not this school's", NOT_OURS_WAIT_S)
    return Undelivered(batch, f"HTTP {status}", _retry_after(response))


def _applied(batch: BatchId, response: httpx.Response) -> Applied | None:
    """The centre's mark for the batch's epoch; None where there is none: that is not the centre's word."""
    try:
        applied = BatchId.parse(response.headers.get(APPLIED_HEADER, ""), least=0)
        head = bytes.fromhex(response.headers.get(HEAD_HEADER, ""))
    except (ContractViolation, ValueError):
        return None
    is_ours = applied.epoch == batch.epoch and len(head) == len(GENESIS)
    return Applied(applied.sequence, head) if is_ours else None


def _told(response: httpx.Response) -> Span | None:
    """What the other copy told, where the centre can say."""
    try:
        told = Told.parse(response.headers.get(TOLD_HEADER, ""))
    except ContractViolation:
        return None
    return Span(told.from_ms, told.to_ms)


def _retry_after(response: httpx.Response) -> float | None:
    """How long the centre wants to be left alone: seconds, or a date, counted from its own (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER_S)
    try:
        until, now = (parsedate_to_datetime(date) for date in (text, response.headers.get("Date", "")))
        return min(max(0.0, until.timestamp() - now.timestamp()), _LONGEST_RETRY_AFTER_S)
    except (ValueError, OverflowError):
        return None
