"""What an agent may publish to a device: requests to say again what it is, a closed list, and nothing that changes one.

A driver words a request, since it knows the format; the agent sends none that is not of this list. Source: Eclipse
Sparkplug Specification 3.0.0, section 4.2.1.4 (NCMD: topic, QoS 0, not retained), chapter 5, "Commands" (rebirth
request), and chapter 6 (payload; of a metric name 1, datatype 4, boolean value 14; it carries no sequence number).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from device_drivers.contract import Request

_REBIRTH: Final = b"\x12\x1a\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01"
"""The metric `Node Control/Rebirth`, Boolean, true, on the wire."""
_LEVEL: Final = r"[^/+#\0]+"
_ALLOWED: Final = (
    (
        re.compile(rf"spBv1\.0/({_LEVEL})/[ND](?:BIRTH|DATA|DEATH)/({_LEVEL})(?:/{_LEVEL})?\nspBv1\.0/\1/NCMD/\2"),
        re.compile(rb"\x08[\x80-\xff]{0,8}[\x00-\x7f]" + re.escape(_REBIRTH), re.DOTALL),
    ),
)
"""Where a message was heard and where the request for it goes, line by line, and the request's payload."""


def is_allowed(request: Request) -> bool:
    """Whether a request is one of the list, to whoever was heard."""
    places = f"{request.heard_at}\n{request.topic}"
    return any(at.fullmatch(places) and payload.fullmatch(request.payload) for at, payload in _ALLOWED)
