"""How a configuration writes where something is: hosts, and addresses of the web."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

_BYTE: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_NAME: Final = "(?:[a-z0-9-]{1,63}[.]){0,8}[a-z][a-z0-9-]{0,62}"
_PLAIN: Final = re.compile(
    f"https?://(?:{_NAME}|(?:{_BYTE}[.]){{3}}{_BYTE})(?::[0-9]{{1,5}})?(?:/[a-z0-9_-]{{1,64}}){{0,8}}/?",
    re.IGNORECASE | re.ASCII,
)
"""What any client takes, as nearly every address is."""


def _host(text: str) -> str:
    if re.fullmatch(r"[^\s/:\[\]\x00]+", text) is None:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ValueError("a host is a name or an address alone, as 10.0.0.7 or fd00::7") from None
        return text
    try:
        text.encode("idna")  # as a connection would: what fails here is no OSError there
    except UnicodeError:
        raise ValueError("no host can have this name: between dots stand 1 to 63 characters") from None
    return text


Host = Annotated[str, AfterValidator(_host)]
"""A host name, or an address without a port."""


def web_address(text: str, written: str) -> str:
    """An address with a host that can be, and without a query. Raises ValueError, by default with how it is `written`.

    The slash at its end is left out.
    """
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        has_port = parts.port is None or parts.port > 0
        if _PLAIN.fullmatch(text) is None:
            _check_by_client(text)
    except ValueError:
        raise ValueError(written) from None
    if not (is_whole and has_port):
        raise ValueError(written)
    _host(parts.hostname or "")
    return text.rstrip("/")


def _check_by_client(text: str) -> None:
    import httpx  # noqa: PLC0415 - takes longer than all else that reads a configuration

    try:
        httpx.URL(text)  # stricter than the standard library, and what connects
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None


def is_loopback(host: str) -> bool:
    """Whether it is this machine by any of its names."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
