"""Where every device was, and which unit it was, as one value of the database: what is unreadable is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_agent.transactions import Fitting

if TYPE_CHECKING:
    from collections.abc import Mapping


def pack(fittings: Mapping[str, Fitting]) -> str:
    """As JSON."""
    return msgspec.json.encode(fittings).decode()


def unpack(packed: str) -> dict[str, Fitting]:
    """What was packed; nothing of a value that a disk has damaged: then no device is known to have changed."""
    try:
        return msgspec.json.decode(packed, type=dict[str, Fitting])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
