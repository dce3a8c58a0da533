"""The web application: ingest, API and pages, behind one set of security headers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from cloud_sink.api import Api
from cloud_sink.errors import refusal
from cloud_sink.ingest import Ingest
from cloud_sink.pages import STATIC, Pages
from telemetry import ContractViolation

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cloud_sink.centre import Centre

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


_FOR_PROGRAMS: Final = ("/api/", "/static/")


class SecurityHeaders:
    """Puts the same headers on every answer, streams included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and mark the answer."""

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, send_marked)


def build_app(centre: Centre) -> FastAPI:
    """The application over an open centre."""
    app = FastAPI(
        title="Bansui IoT centre",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the documentation page would load its scripts from a CDN
        redoc_url=None,
    )
    app.include_router(Ingest(centre).router())
    app.include_router(Api(centre).router())
    pages = Pages(centre)
    app.include_router(pages.router())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ContractViolation, _violation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(404, partial(_nowhere, pages))
    app.add_middleware(SecurityHeaders)
    return app


async def _nowhere(pages: Pages, request: Request, error: Exception) -> Response:
    """A person gets a page, with the way back."""
    is_for_programs = request.url.path.startswith(_FOR_PROGRAMS)
    return await _http(request, error) if is_for_programs else pages.not_found(request)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return refusal(400, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")


async def _violation(_request: Request, error: Exception) -> Response:
    return refusal(400, str(error))


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, str(error.detail), headers=error.headers)
