"""Errors as this centre tells them over HTTP: InfluxDB v2's JSON, a stable `code` and a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    408: "request timeout",
    409: "conflict",
    413: "request too large",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}


def refusal(
    status: int,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    retry_after_s: int | None = None,
    **place: int,
) -> JSONResponse:
    """An answer that refuses, with where in the body the fault is when that is known."""
    sent = dict(headers or {})
    if retry_after_s is not None:
        sent["Retry-After"] = str(retry_after_s)
    if status == 401:
        sent["WWW-Authenticate"] = "Token"
    return JSONResponse({"code": _CODES[status], "message": message, **place}, status, sent)
