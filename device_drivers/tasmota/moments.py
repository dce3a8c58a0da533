"""When a Tasmota device says it measured: local time without a zone, unless somebody states the zone.

Source: tasmota.github.io/docs, "Commands": Time (format 1 adds `Epoch`, format 2 gives seconds alone), Timezone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTION: Final = "utc_offset_minutes"
_FURTHEST_MINUTES: Final = 14 * 60
_LATEST_S: Final = 10**11
_BOOTED: Final = 2016
"""A clock that was never set counts from 1970."""


def read_offset(options: Mapping[str, str | int | float | bool]) -> int | None:
    """The option in milliseconds; None where it is not set. Raises `ConfigurationError`."""
    value = options.get(OPTION)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _FURTHEST_MINUTES:
        raise ConfigurationError(
            f"option {OPTION} is {value!r}",
            why="it says how many minutes the device's clock is ahead of UTC",
            fix="write a whole number from -840 to 840, such as 480 for China",
        )
    return value * 60_000


def event_ms(document: Mapping[str, Any], offset_ms: int | None) -> int | None:
    """The moment the message states, if it can be told in UTC."""
    for key in ("Epoch", "Time"):
        seconds = document.get(key)
        if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds < _LATEST_S:
            return seconds * 1000
    text = document.get("Time")
    return _written(text, offset_ms) if isinstance(text, str) else None


def _written(text: str, offset_ms: int | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year < _BOOTED or (moment.tzinfo is None and offset_ms is None):
        return None
    if moment.tzinfo is not None:
        return round(moment.timestamp() * 1000)
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000) - (offset_ms or 0)
