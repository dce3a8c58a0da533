"""Tasmota: plugs, relays and sensors that publish JSON in sections, one section a sensor.

Source: tasmota.github.io/docs, "MQTT" (topics, FullTopic), "JSON Status Responses", "Commands" (TelePeriod,
SetOption8), and hatasmota, `sensor.py` (MIT), for keys and units. Read are `SENSOR`, `STATE`, `LWT`, `RESULT`, `POWERn`
and the answers `STATUS8`, `STATUS10` and `STATUS11`, wherever FullTopic puts them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.channels import is_channel
from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.json_table import Column, parse_object, tellable
from device_drivers.manifest import load
from device_drivers.tasmota.moments import event_ms, read_offset
from device_drivers.tasmota.units import in_vocabulary_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from device_drivers.contract import Frame, Settings

_ENVELOPE: Final = ("Time", "Epoch", "TempUnit", "PressureUnit", "SpeedUnit")
_WRAPPERS: Final = ("StatusSNS", "StatusSTS")
_PERSONAL: Final = ("PN532", "RC522", "RDM6300", "Wiegand", "FPrint", "IBEACON", "BLEDetails")
"""Sections that hold card numbers, fingers or the addresses of passing phones."""
_RECEIVED, _ZIGBEE = "ZbReceived", "Zigbee"
_OF_ZIGBEE: Final = frozenset(
    ("Temperature", "Humidity", "Pressure", "Occupancy", "Power", "Voltage", "BatteryVoltage", "Battery",
     "BatteryPercentage", "LinkQuality")
)  # fmt: skip
"""What a bridge tells of a device in a unit that the documents name; its `Illuminance` is a logarithm."""
_ACTUAL: Final = "Act"
"""Of the statistics of a speed, what was measured last."""
_WORD: Final = re.compile(rb"[A-Za-z]{1,16}")
_NUMBERED: Final = re.compile(r"(\D[^/]*?)(\d{1,2})")
_SUFFIX: Final = re.compile(r"\d{1,3}|0x[0-9A-Fa-f]{2}|[0-9A-Fa-f]{6}")
"""Behind a sensor's name, which one it is: by number, address or the end of an id. Else it belongs to the name."""
_NO_CHANNEL: Final = re.compile(r"[^a-z0-9_-]")
_ONE_WIRE: Final = ("DS18B20", "DS18S20", "DS18X20", "DS1822")
_NO_PROBE: Final = (85.0, -127.0)
"""What a one-wire probe gives before its first conversion, and what a lost one is replaced with."""


def create(settings: Settings) -> Tasmota:
    """The driver for one device."""
    return Tasmota(_columns(), load(Path(__file__).parent).channels, read_offset(settings.options))


@cache
def _columns() -> Mapping[str, Column]:
    """The fields of `driver.toml`, the same for every device."""
    return {row.key: Column.of(row) for row in load(Path(__file__).parent).field}


class Tasmota:
    """Decodes what one device publishes."""

    def __init__(self, columns: Mapping[str, Column], words: frozenset[str], offset_ms: int | None) -> None:
        """`words` are those of its channels; `offset_ms` is how far the device's local time is ahead of UTC; None where
        nobody stated it."""
        self._columns = columns
        self._words = words
        self._offset_ms = offset_ms

    def decode(self, frame: Frame) -> Decoded:
        """Understand one publication. Raises `FrameRefused`."""
        *path, leaf = frame.topic.split("/")
        if "cmnd" in path:
            raise FrameRefused("not_a_device_frame", "a command to the device, not a message of it")
        if frame.payload.lstrip()[:1] != b"{":
            return self._bare(leaf, frame.payload)
        document = parse_object(frame.payload)
        for wrapper in _WRAPPERS:
            document = document.get(wrapper, document)
            if not isinstance(document, dict):
                raise FrameRefused("malformed", f"{wrapper} is not a JSON object")
        if any(name.startswith(_PERSONAL) for name in document):
            raise FrameRefused("personal", "the message holds what identifies a person")
        moment = event_ms(document, self._offset_ms)
        return _Reader(self._columns, self._words, _zigbee(document, path), moment).read()

    def _bare(self, leaf: str, payload: bytes) -> Decoded:
        word = payload.strip()
        found = _lookup(self._columns, leaf)
        number = found[0].number(word.decode("ascii")) if found and _WORD.fullmatch(word) else None
        if found is None or number is None:
            raise FrameRefused("malformed", "the payload is neither JSON nor one of Tasmota's words")
        return Decoded.of((Measurement(found[0].quantity, number, found[1]),))


def _zigbee(document: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The message, and of what a Zigbee bridge received that of the device which the topic names (SetOption89).

    Where all devices share a topic, nothing says whose a message is: none of them is read.
    """
    wrapped = document.get(_RECEIVED)
    received = (
        wrapped
        if isinstance(wrapped, dict)
        else {name: each for name, each in document.items() if _is_of_a_device(each)}
    )
    if not received:
        return document
    rest = {name: each for name, each in document.items() if name not in received and name != _RECEIVED}
    parts = {part.casefold() for part in path}
    for name, fields in received.items():
        if isinstance(fields, dict):
            named = {str(each).removeprefix("0x").casefold() for each in (name, fields.get("Device", name))}
            if not named.isdisjoint(parts):
                return rest | {_ZIGBEE: {key: value for key, value in fields.items() if key in _OF_ZIGBEE}}
    return rest | {_RECEIVED: ""}


def _is_of_a_device(section: object) -> bool:
    """Whether a section is of a Zigbee device, without the wrapper (SetOption100)."""
    return isinstance(section, dict) and str(section.get("Device")).startswith("0x")


def _lookup(columns: Mapping[str, Column], key: str, section: str = "") -> tuple[Column, str] | None:
    """The row of a key and the number behind the key; a row for its section before one for any."""
    match = _NUMBERED.fullmatch(key)
    for name, number in ((key, ""), *([match.groups()] if match else [])):
        for candidate in (f"{section}.{name}", name) if section else (name,):
            if candidate in columns:
                return columns[candidate], number
    return None


class _Reader:
    """Reads one message."""

    def __init__(
        self, columns: Mapping[str, Column], words: frozenset[str], document: Mapping[str, Any], event: int | None
    ) -> None:
        self._columns = columns
        self._words = words
        self._document = document
        self._event_ms = event
        self._found: dict[tuple[str, str], Measurement] = {}
        self._dropped: list[str] = []

    def read(self) -> Decoded:
        """What the message holds, section by section."""
        for name, value in self._document.items():
            if name in _ENVELOPE or value is None:
                continue
            if isinstance(value, dict):
                section, _, suffix = name.partition("-")
                is_number = not suffix or _SUFFIX.fullmatch(suffix) is not None
                self._section(section if is_number else name, _channel(suffix) if is_number else "", value)
            else:
                self._field(name, value)
        return Decoded.of(self._found.values(), tuple(self._dropped))

    def _section(self, section: str, channel: str, fields: Mapping[str, Any]) -> None:
        for key, value in fields.items():
            if value is None:
                continue
            inner = _NUMBERED.fullmatch(key)
            if isinstance(value, dict) and inner is not None and _lookup(self._columns, key, section) is None:
                self._section(inner[1], _joined(channel, inner[2]), value)  # ANALOG's CTEnergy1, CTEnergy2
            else:
                self._field(key, value, section, channel, fields)

    def _field(
        self, key: str, value: Any, section: str = "", channel: str = "", beside: Mapping[str, Any] | None = None
    ) -> None:
        name = f"{section}.{key}" if section else key
        found = _lookup(self._columns, key, section)
        if found is None or (found[0].unless and (beside or {}).get(found[0].unless) is not None):
            self._dropped.append(tellable(name))
            return
        column, number = found
        if column.quantity == "wind_speed" and isinstance(value, dict):
            value = value.get(_ACTUAL)
        base = _joined(column.channel, channel, number)
        for phase, item in _values(value):
            self._value(column, item, section, _joined(base, phase), name)

    def _value(self, column: Column, value: Any, section: str, channel: str, name: str) -> None:
        if value is None:
            return
        number = column.number(value)
        if number is not None:
            number = in_vocabulary_unit(column.quantity, number, self._document)
        if number is None or (section in _ONE_WIRE and any(abs(number - absent) < 0.05 for absent in _NO_PROBE)):
            self._dropped.append(tellable(name))
            return
        if (column.quantity, channel) in self._found:  # another sensor measures the same
            channel = _joined(_channel(section), channel)
        if (column.quantity, channel) in self._found or not is_channel(channel, self._words):
            self._dropped.append(tellable(name))
            return
        self._found[column.quantity, channel] = Measurement(column.quantity, number, channel, self._event_ms)


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    """Each value of a field with its channel: a list goes by phase or tariff, and so does an object."""
    if isinstance(value, list):
        yield from ((str(number), item) for number, item in enumerate(value, start=1))
    elif isinstance(value, dict):
        for key, item in value.items():
            match = _NUMBERED.fullmatch(key)
            yield (match[2] if match else _channel(key)), item
    else:
        yield "", value


def _channel(text: str) -> str:
    return _NO_CHANNEL.sub("", text.lower())


def _joined(*parts: str) -> str:
    return "-".join(part for part in parts if part)
