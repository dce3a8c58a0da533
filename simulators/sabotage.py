"""Deliberate falsehoods between a device and the wire, so that a check which cannot fail is found out.

The truth stays what an honest device would have done; only the wire lies.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import TYPE_CHECKING, Final

from simulators.json_text import compact

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.emissions import Emission

    Publish = Callable[[Emission, Callable[[], None]], None]

_EVERY: Final = 97
"""One frame in so many is falsified: prime, so that every device has its turn."""
_SHIFT_MS: Final = 900_000
_STAMPS: Final = ("last_seen", "time")


class Sabotage(enum.StrEnum):
    """What goes wrong between a device and the wire."""

    DROP = "drop"
    """A frame counts as sent and confirmed, and was never published."""
    DOUBLE = "double"
    """A frame counts once, and was published twice as two messages."""
    RESTAMP = "restamp"
    """A frame says it is one window older than it is."""


def sabotaged(publish: Publish, mode: Sabotage) -> Publish:
    """`publish`, falsified for one frame in a hundred."""
    count = 0

    def falsify(emission: Emission, confirmed: Callable[[], None]) -> None:
        nonlocal count
        count += 1
        if count % _EVERY:
            publish(emission, confirmed)
        elif mode is Sabotage.DROP:
            confirmed()
        elif mode is Sabotage.DOUBLE:
            publish(emission, confirmed)
            publish(emission, lambda: None)
        else:
            publish(dataclasses.replace(emission, payload=_restamped(emission.payload)), confirmed)

    return falsify


def _restamped(payload: bytes) -> bytes:
    fields = json.loads(payload)
    for stamp in _STAMPS:
        if isinstance(fields, dict) and isinstance(fields.get(stamp), int):
            fields[stamp] -= _SHIFT_MS
    return compact(fields)
