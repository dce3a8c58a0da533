"""The Homie convention, 4 and 5: retained topics, one for each property, and what a device says of itself.

Source: homieiot.github.io, "Specification" 4.0.0 and 5.0.0. `homie/<device>/<node>/<property>` in version 4, whose
attributes (`$datatype`, `$unit`) have topics of their own; `homie/5/<device>/<node>/<property>` in version 5, with one
`$description` in JSON. A property is read once the device has said of which type it is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.json_table import parse_object, tellable
from device_drivers.manifest import load
from device_drivers.named_values import NamedValues

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings
    from device_drivers.json_table import Column

MOST_PROPERTIES: Final = 256
_MAJOR: Final = "5"
_LONGEST: Final = 64
_NUMBERS: Final = frozenset(("integer", "float", "percent"))
_STATES: Final = {"ready": 1.0, "alert": 1.0, "disconnected": 0.0, "lost": 0.0}
"""Version 4's and 5's; a device that starts or sleeps is neither here nor gone."""
_COMMANDS: Final = ("set", "$target")
_READ_ATTRIBUTES: Final = ("$datatype", "$unit")


def create(settings: Settings) -> Homie:  # noqa: ARG001 - the contract's signature; every model is read alike
    """The driver for one device."""
    return Homie(_table())


@cache
def _table() -> NamedValues:
    """The words of `driver.toml`, the same for every device."""
    return NamedValues(load(Path(__file__).parent).field)


class Homie:
    """Learns what one device's properties are, and reads them."""

    def __init__(self, table: NamedValues) -> None:
        self._table = table
        self._described: dict[str, dict[str, str]] = {}
        """Attributes of each property, by node and property."""
        self._taken: dict[tuple[str, str], str] = {}
        """Which property is told as a quantity on a channel: of two that could be, the one that came first."""

    def decode(self, frame: Frame) -> Decoded:
        """Learn from what the device says of itself, or read a property. Raises `FrameRefused`."""
        parts = frame.topic.split("/")
        is_fifth = len(parts) > 1 and parts[1] == _MAJOR
        path = parts[3:] if is_fifth else parts[2:]
        if not path or not all(path):
            raise FrameRefused("topic", "the topic is none of Homie's")
        if path[-1] in _COMMANDS:
            raise FrameRefused("not_a_device_frame", "what the device is to do, not what it measures")
        if path == ["$state"]:
            return _state(frame.payload)
        if path == ["$description"] and is_fifth:
            return self._describe(frame.payload)
        if path[-1].startswith("$") or path[0].startswith("$"):
            return self._attribute(path, frame.payload) if not is_fifth else Decoded()
        if len(path) != 2:
            raise FrameRefused("topic", "the topic is none of Homie's")
        return self._property("/".join(path), frame.payload)

    def _describe(self, payload: bytes) -> Decoded:
        """Version 5: everything at once, and anew each time."""
        described: dict[str, dict[str, str]] = {}
        for node, properties in _tables(parse_object(payload), "nodes"):
            for name, attributes in _tables(properties, "properties"):
                described[f"{node}/{name}"] = {
                    f"${key}": value for key, value in attributes.items() if isinstance(value, str)
                }
        if len(described) > MOST_PROPERTIES:
            raise FrameRefused("too_many", f"more than {MOST_PROPERTIES} properties of one device")
        self._described = described
        self._taken.clear()
        return Decoded()

    def _attribute(self, path: list[str], payload: bytes) -> Decoded:
        """Version 4: one attribute of a property; those of a device and of its nodes say nothing here."""
        if len(path) != 3 or path[-1] not in _READ_ATTRIBUTES:
            return Decoded()
        place = "/".join(path[:2])
        if place not in self._described and len(self._described) >= MOST_PROPERTIES:
            raise FrameRefused("too_many", f"more than {MOST_PROPERTIES} properties of one device")
        self._described.setdefault(place, {})[path[-1]] = _text(payload)
        return Decoded()

    def _property(self, place: str, payload: bytes) -> Decoded:
        attributes = self._described.get(place, {})
        datatype = attributes.get("$datatype")
        if datatype is None:
            raise FrameRefused("not_learned", "the device has not said of which type this property is")
        written = _text(payload)
        if not written:
            return Decoded()
        column = self._table.find(place, attributes.get("$unit", ""))
        number = column.number(_value(datatype, written)) if column is not None else None
        if column is None or number is None or not self._is_its_own(place, column):
            return Decoded((), (tellable(place.rpartition("/")[2]),))
        return Decoded.of((Measurement(column.quantity, number, column.channel),))

    def _is_its_own(self, place: str, column: Column) -> bool:
        """Whether no other property is told as the same quantity, on the same channel."""
        return self._taken.setdefault((column.quantity, column.channel), place) == place


def _state(payload: bytes) -> Decoded:
    there = _STATES.get(_text(payload))
    return Decoded() if there is None else Decoded.of((Measurement("connectivity", there),))


def _tables(table: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    """The tables under a key, with their names."""
    inner = table.get(key)
    return [(name, each) for name, each in inner.items() if isinstance(each, dict)] if isinstance(inner, dict) else []


def _value(datatype: str, written: str) -> float | bool | str | None:
    """A value as its type has it: version 4's and 5's numbers are written alike, and flags in small letters."""
    if datatype == "boolean":
        return {"true": True, "false": False}.get(written)
    if datatype == "enum":
        return written.lower()
    if datatype not in _NUMBERS:
        return None
    try:
        return float(written)
    except ValueError:
        return None


def _text(payload: bytes) -> str:
    """A bare value. Raises `FrameRefused` for what can be none."""
    try:
        value = payload.decode("utf-8").strip() if len(payload) <= _LONGEST else None
    except UnicodeDecodeError:
        value = None
    if value is None:
        raise FrameRefused("malformed", "the payload is not one value")
    return value
