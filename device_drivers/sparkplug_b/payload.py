"""Sparkplug B's payload: metrics with a name or an alias, a type, a time and a value.

Source: Eclipse Sparkplug Specification 3.0.0, section 6.4 (payload definition and metric components), with the field
numbers of its protocol buffers schema, section 6.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from device_drivers.contract import FrameRefused
from device_drivers.sparkplug_b.protobuf import (
    WireFormatUnreadable,
    content,
    content_field,
    fields,
    flag,
    floating,
    integer,
    integer_field,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST: Final = 1 << 18
MOST_METRICS: Final = 1000
"""And fields in all: reading them takes some 25 ms."""
_SIGNED_BITS: Final = {1: 8, 2: 16, 3: 32, 4: 64}
"""Of the types Int8 to Int64, whose values stand in unsigned fields (section 6.4.16)."""
_BOOLEAN: Final = 11
_WIDTHS: Final = {10: 32, 11: 64}
_PROPERTIES: Final = 9
_QUALITY: Final = "Quality"
_GOOD: Final = range(192, 256)
"""192 is good, 0 bad and 500 stale (section 6.4.9.1). Ignition has further good ones, up to 203."""
_UNIT: Final = frozenset({"engunit", "engunits", "engineeringunit", "engineeringunits", "unit", "units"})
"""The properties in which nodes state a metric's unit, in small letters alone; the specification names none."""


@dataclass(slots=True)
class Metric:
    """One metric as it came."""

    name: str = ""
    alias: int | None = None
    time_ms: int | None = None
    datatype: int = 0
    is_historical: bool = False
    is_null: bool = False
    value: float | bool | None = None
    """None for texts, data sets, templates and what else is no number."""
    bits: int = 0
    """Of the field that an integer stood in."""
    unit: str = ""
    is_good: bool = True
    """Unless the property `Quality` says that the value is bad or stale."""


@dataclass(slots=True)
class Payload:
    """One payload as it came."""

    time_ms: int | None
    seq: int | None
    metrics: list[Metric]


def read(data: bytes) -> Payload:
    """The payload in `data`. Raises `FrameRefused`."""
    if len(data) > LARGEST:
        raise FrameRefused("too_large", f"a payload of more than {LARGEST} bytes")
    payload = Payload(None, None, [])
    try:
        for count, (number, kind, value) in enumerate(fields(data)):
            if count > MOST_METRICS:
                raise FrameRefused("too_many", f"more than {MOST_METRICS} metrics")
            if number == 1:
                payload.time_ms = integer(kind, value)
            elif number == 2:
                payload.metrics.append(_metric(content(kind, value)))
            elif number == 3:
                payload.seq = integer(kind, value)
    except WireFormatUnreadable:
        raise FrameRefused("malformed", "the payload is no message of Sparkplug B") from None
    return payload


def rebirth(now_ms: int) -> bytes:
    """A rebirth request: the time, and the one metric (chapter 5, "Commands")."""
    metric = content_field(1, b"Node Control/Rebirth") + integer_field(4, _BOOLEAN) + integer_field(14, 1)
    return integer_field(1, now_ms) + content_field(2, metric)


def _metric(data: bytes) -> Metric:
    metric = Metric()
    for number, kind, value in fields(data):
        if number in _READERS:
            name, reader = _READERS[number]
            setattr(metric, name, reader(kind, value))
        if number == _PROPERTIES:
            metric.unit, metric.is_good = _properties(content(kind, value))
        if number in _WIDTHS:
            metric.bits = _WIDTHS[number]
    return metric


def signed(metric: Metric, datatype: int) -> float | bool | None:
    """A metric's value by its type, which perhaps its birth alone stated: integers of some types may be negative."""
    value, bits = metric.value, _SIGNED_BITS.get(datatype)
    if bits is None or type(value) is not int:
        return value
    filled = (1 << max(metric.bits - bits, 0)) - 1
    if value >> bits not in (0, filled):
        return value  # more than its type can hold, and not a sign that fills the field
    kept = value & (1 << bits) - 1
    return kept - (1 << bits) if kept >> bits - 1 else kept


def _properties(properties: bytes) -> tuple[str, bool]:
    """The unit that is stated, if one is, and whether the quality is good (PropertySet: keys are 1, values are 2)."""
    keys: list[str] = []
    values: list[bytes] = []
    for number, kind, value in fields(properties):
        if number == 1:
            keys.append(text(kind, value))
        elif number == 2:
            values.append(content(kind, value))
    unit, is_good = "", True
    for key, stated in zip(keys, values, strict=False):
        if key == _QUALITY:
            is_good = all(integer(kind, value) in _GOOD for number, kind, value in fields(stated) if number in (3, 4))
        elif key.replace(" ", "").replace("_", "").lower() in _UNIT:
            unit = next((text(kind, value) for number, kind, value in fields(stated) if number == 8), "")
    return unit, is_good


_READERS: Final[dict[int, tuple[str, Callable[[int, int | bytes], object]]]] = {
    1: ("name", text),
    2: ("alias", integer),
    3: ("time_ms", integer),
    4: ("datatype", integer),
    5: ("is_historical", flag),
    7: ("is_null", flag),
    10: ("value", integer),
    11: ("value", integer),
    12: ("value", floating),
    13: ("value", floating),
    14: ("value", flag),
}
"""Fields of a metric, by number: where they go, and what reads them."""
