"""What both network servers say of a sensor's frame, and the parts of JSON that they write alike.

Both write protocol buffers as JSON (protobuf.dev, "ProtoJSON format"): bytes in base64, times by RFC 3339 with up to
nine digits, and fields that are zero or false left out.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from device_drivers.contract import FrameRefused, Measurement

LONGEST_PAYLOAD: Final = 255
"""Bytes that one LoRaWAN frame can carry at most."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """One event: the sensor's bytes, if it brought any, and what the server says of link and battery."""

    payload: bytes | None = None
    port: int = 0
    event_ms: int | None = None
    link: tuple[Measurement, ...] = ()


def read_bytes(value: object) -> bytes:
    """Bytes as protocol buffers write them in JSON; absent ones are empty. Raises `FrameRefused`."""
    if value is None:
        return b""
    try:
        content = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        content = None
    if content is None or len(content) > LONGEST_PAYLOAD:
        raise FrameRefused("malformed", "the sensor's bytes are no base64 of a LoRaWAN frame")
    return content


def read_port(value: object) -> int:
    """A port; one that is left out is 0. Raises `FrameRefused`."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise FrameRefused("malformed", "the port is no number from 0 to 255")
    return value


def read_time(value: object) -> int | None:
    """A time in epoch milliseconds; None where there is none, or one without its offset."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return round(moment.timestamp() * 1000)


def strongest(receptions: object, event_ms: int | None) -> tuple[Measurement, ...]:
    """The signal of the gateway that heard the sensor best; nothing else of a gateway is read."""
    entries = receptions if isinstance(receptions, list) else []
    signals = [_number(entry.get("rssi")) for entry in entries if isinstance(entry, dict)]
    heard = [signal for signal in signals if signal is not None]
    return (Measurement("signal_strength", max(heard), "", event_ms),) if heard else ()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e6 < value < 1e6:
        return None
    return float(value)


def battery(value: Any, event_ms: int | None) -> tuple[Measurement, ...]:
    """A battery's charge in percent, if there is one."""
    level = _number(value)
    return (Measurement("battery", level, "", event_ms),) if level is not None else ()
