"""Until when the centre's certificate is valid, as the uplink saw it last."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from telemetry.spans import DAY_S

if TYPE_CHECKING:
    import httpx

NONE: Final = -1
"""Days of a certificate that was not seen, or of a line without one."""


class CertificateLife:
    """What the report says of it."""

    def __init__(self) -> None:
        self._expires_s: float | None = None

    def seen(self, response: httpx.Response) -> None:
        """Look at the line by which an answer came; it was verified when the line was made."""
        stream = response.extensions.get("network_stream")
        line = None if stream is None else stream.get_extra_info("ssl_object")
        certificate = line.getpeercert() if isinstance(line, ssl.SSLObject) else None
        if certificate:
            self._expires_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))

    def days(self, now_ms: int) -> int:
        """Whole days left, 0 on the last and after it; `NONE` where there is none."""
        if self._expires_s is None:
            return NONE
        return max(0, int((self._expires_s - now_ms / 1000) // DAY_S))
