"""SenML packs resolved: base values put into each record, times made absolute (RFC 8428 sections 4 and 4.6)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from device_drivers.contract import FrameRefused

VERSION: Final = 10
"""The version of RFC 8428; a pack of a later one must not be used (section 4.4)."""
MOST_RECORDS: Final = 1000
_RELATIVE: Final = 2**28
"""Times below are seconds from now, and not since 1970 (section 4.5.3)."""
_LATEST_S: Final = 1e11

LABELS: Final = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s",
    6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
"""Labels of the representation in CBOR (section 6, table 4)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One resolved record. `ago_s` is not zero where the pack says how long ago it was measured, and not when."""

    name: str
    unit: str
    value: float | bool | None
    """None where it holds a text, data, or a sum alone."""
    event_ms: int | None
    ago_s: float = 0.0


def resolve(pack: object) -> list[Record]:
    """The records of a pack, in its order. Raises `FrameRefused`."""
    if not isinstance(pack, list) or not all(isinstance(record, dict) for record in pack):
        raise FrameRefused("malformed", "a pack is an array of records")
    if len(pack) > MOST_RECORDS:
        raise FrameRefused("too_many", f"more than {MOST_RECORDS} records")
    base: dict[str, Any] = {}
    return [_resolved({LABELS.get(key, key): value for key, value in record.items()}, base) for record in pack]


def _resolved(record: dict[Any, Any], base: dict[str, Any]) -> Record:
    """One record; what it says for those behind it goes into `base`."""
    if any(isinstance(label, str) and label.endswith("_") for label in record):
        raise FrameRefused("version", "the pack has a label that must be understood, and is not known")
    for label in ("bn", "bu"):
        if label in record:
            base[label] = _text(record[label])
    for label in ("bt", "bv", "bver"):
        if label in record:
            base[label] = _number(record[label])
    if base.get("bver", VERSION) > VERSION:
        raise FrameRefused("version", f"the pack is of a later version than {VERSION}")
    name = base.get("bn", "") + _text(record.get("n", ""))
    unit = _text(record.get("u", base.get("bu", "")))
    time = base.get("bt", 0.0) + _number(record.get("t", 0))
    event_ms = round(time * 1000) if _RELATIVE <= time < _LATEST_S else None
    ago_s = -time if event_ms is None and time < 0 else 0.0
    return Record(name, unit, _value(record, base), event_ms, ago_s)


def _value(record: dict[Any, Any], base: dict[str, Any]) -> float | bool | None:
    if isinstance(record.get("vb"), bool):
        return bool(record["vb"])
    others = any(label in record for label in ("vs", "vb", "vd", "s"))
    if "v" in record or ("bv" in base and not others):
        return float(base.get("bv", 0.0) + _number(record.get("v", 0)))
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FrameRefused("malformed", "a name or a unit is no text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FrameRefused("malformed", "a time or a value is no number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise FrameRefused("malformed", "a time or a value is no finite number")
    return number
