"""SenML (RFC 8428): packs of records in JSON or CBOR, whose units say what was measured, and whose names do elsewhere.

Units: the IANA registry "SenML Units" and "Secondary Units" (RFC 8428 section 12.1, RFC 8798). A unit that tells the
quantity is enough; where several quantities share one (`ppm`, `%`, `/`), the end of the record's name has to be a word
that `driver.toml` knows. Names are never told: a record's channel is the number behind that word, if there is one.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.json_table import LARGEST_PAYLOAD, Column, parse, tellable
from device_drivers.manifest import load
from device_drivers.senml.cbor import CborUnreadable, loads
from device_drivers.senml.records import Record, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device_drivers.contract import Frame, Settings

_PERSONAL: Final = frozenset(("beat/min", "beats"))
"""Heart rates: the registry has units for them."""
_NAME: Final = re.compile(r"(?:.*[:/.\s])?([a-z][a-z0-9_]*?)(?:_?(\d{1,2}))?")
_ARRAYS: Final = (0x80, 0x9F)
"""First bytes of arrays in CBOR."""


def create(settings: Settings) -> SenML:  # noqa: ARG001 - the contract's signature; every model is read alike
    """The driver for one device."""
    return SenML(_columns())


@cache
def _columns() -> Mapping[str, Column]:
    """The fields of `driver.toml`, the same for every device."""
    return {row.key: Column.of(row) for row in load(Path(__file__).parent).field}


class SenML:
    """Decodes the packs of one device."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns

    def decode(self, frame: Frame) -> Decoded:
        """Understand one pack. Raises `FrameRefused`."""
        found: dict[tuple[str, str, int | None], tuple[float, Measurement]] = {}
        dropped: list[str] = []
        for record in resolve(_pack(frame.payload)):
            if record.unit in _PERSONAL:
                raise FrameRefused("personal", "the pack tells of somebody's heart")
            measurement = self._measure(record)
            if measurement is None:
                dropped.append(tellable(record.unit or "record"))
                continue
            place = measurement.quantity, measurement.channel, measurement.event_ms
            if place in found and found[place][0] <= record.ago_s:
                dropped.append("earlier")  # or of another sensor of the same name
                continue
            if place in found:
                dropped.append("earlier")
            found[place] = record.ago_s, measurement
        return Decoded.of((measurement for _, measurement in found.values()), tuple(dropped))

    def _measure(self, record: Record) -> Measurement | None:
        """What a record measured, if it is a quantity's."""
        name, number = _words(record.name)
        column, channel = self._column(record, name, number)
        if column is None or record.value is None:
            return None
        value = column.number(record.value)
        return None if value is None else Measurement(column.quantity, value, channel, record.event_ms)

    def _column(self, record: Record, name: str, number: str) -> tuple[Column | None, str]:
        unit = "vb" if isinstance(record.value, bool) else record.unit
        for word, channel in ((f"{name}{number}", ""), (f"{name}_{number}", ""), (name, number.lstrip("0"))):
            column = self._columns.get(f"{unit} {word}")
            if column is not None:
                return column, channel
        return self._columns.get(unit), number.lstrip("0") if name.isalpha() else ""


def _words(name: str) -> tuple[str, str]:
    """The last word of a record's name, in small letters, and the number behind it."""
    match = _NAME.fullmatch(name.lower().replace("-", "_")[-64:])
    return (match[1], match[2] or "") if match else ("", "")


def _pack(payload: bytes) -> object:
    if len(payload) > LARGEST_PAYLOAD:
        raise FrameRefused("too_large", f"a payload of more than {LARGEST_PAYLOAD} bytes")
    if payload[:1] and _ARRAYS[0] <= payload[0] <= _ARRAYS[1]:
        try:
            return loads(payload)
        except CborUnreadable:
            raise FrameRefused("malformed", "the payload is no CBOR that SenML uses") from None
    return parse(payload)
