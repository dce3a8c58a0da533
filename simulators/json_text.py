"""JSON as devices write it: without spaces."""

from __future__ import annotations

import json
from typing import Final

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
"""One for all messages: `json.dumps` makes one for each."""


def compact(content: object) -> bytes:
    """The bytes of a message."""
    return _ENCODER.encode(content).encode()
