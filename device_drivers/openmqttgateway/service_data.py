"""Advertisements that carry measurements as service data, read into the gateway's own keys.

Sources: Xiaomi, "MiBeacon" protocol versions 2 to 5 (0xFE95); Qingping, broadcasts of service 0xFDCD; the custom
formats of github.com/atc1441/ATC_MiThermometer and github.com/pvvx/ATC_MiThermometer (0x181A); bthome.io, "BTHome v2"
(0xFCD2). Addresses in them are passed over. What is encrypted, and what no document here names, gives nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from device_drivers.contract import FrameRefused

if TYPE_CHECKING:
    from collections.abc import Callable

Values: TypeAlias = "dict[str, float | bool]"
"""Values by the gateway's keys, in the gateway's units."""

_MAC: Final = 6


def _little(data: bytes, at: int = 0, size: int = 2, *, signed: bool = False) -> int:
    return int.from_bytes(data[at : at + size], "little", signed=signed)


# MiBeacon: frame control, product, counter, then what the control's bits name

_ENCRYPTED, _HAS_MAC, _HAS_CAPABILITY, _HAS_OBJECT = 1 << 3, 1 << 4, 1 << 5, 1 << 6
_IO_CAPABILITY: Final = 0x20
_MIBEACON_HEAD: Final = 5

_OBJECTS: Final[dict[int, tuple[int, Callable[[bytes], Values]]]] = {
    0x0003: (1, lambda data: {"motion": bool(data[0])}),
    0x000F: (3, lambda data: {"motion": True, "lux": _little(data, 0, 3)}),
    0x1004: (2, lambda data: {"tempc": _little(data, signed=True) / 10}),
    0x1006: (2, lambda data: {"hum": _little(data) / 10}),
    0x1007: (3, lambda data: {"lux": _little(data, 0, 3)}),
    0x100A: (1, lambda data: {"batt": data[0]}),
    0x100D: (4, lambda data: {"tempc": _little(data, signed=True) / 10, "hum": _little(data, 2) / 10}),
    0x1010: (2, lambda data: {"for": _little(data) / 100}),
    0x1014: (1, lambda data: {"leak": bool(data[0])}),
    0x1019: (1, lambda data: {"open": data[0] == 0} if data[0] < 2 else {}),
}
"""Objects of MiBeacon: their length, and what they say."""


def mibeacon(data: bytes) -> Values:
    """One frame of Xiaomi's protocol. Raises `FrameRefused`."""
    _at_least(data, _MIBEACON_HEAD)
    control, at = _little(data), _MIBEACON_HEAD
    if control & _ENCRYPTED or not control & _HAS_OBJECT:
        return {}
    at += _MAC if control & _HAS_MAC else 0
    if control & _HAS_CAPABILITY:
        _at_least(data, at + 1)
        at += 1 + (2 if data[at] & _IO_CAPABILITY else 0)
    _at_least(data, at + 3)
    kind, length = _little(data, at), data[at + 2]
    content = data[at + 3 : at + 3 + length]
    if kind not in _OBJECTS or length != _OBJECTS[kind][0]:
        return {}
    _at_least(content, length)
    return _OBJECTS[kind][1](content)


# Qingping: control, product, address, then entries with a type and a length

_ENTRIES: Final[dict[tuple[int, int], Callable[[bytes], Values]]] = {
    (0x01, 4): lambda data: {"tempc": _little(data, signed=True) / 10, "hum": _little(data, 2) / 10},
    (0x02, 1): lambda data: {"batt": data[0] & 0x7F},
    (0x04, 1): lambda data: {"open": bool(data[0])},
    (0x07, 2): lambda data: {"pres": _little(data) / 10},
    (0x08, 4): lambda data: {"motion": bool(data[0]), "lux": _little(data, 1, 3)},
    (0x09, 4): lambda data: {"lux": _little(data, 0, 4)},
    (0x11, 1): lambda data: {"motion": bool(data[0])},
    (0x12, 4): lambda data: {"pm25": _little(data), "pm10": _little(data, 2)},
    (0x13, 2): lambda data: {"co2": _little(data)},
}
"""Entries of Qingping, by type and length, and what they say."""


def qingping(data: bytes) -> Values:
    """One frame of Qingping's protocol. Raises `FrameRefused`."""
    at = 2 + _MAC
    values: Values = {}
    _at_least(data, at)
    while at < len(data):
        _at_least(data, at + 2)
        kind, length = data[at], data[at + 1]
        _at_least(data, at + 2 + length)
        read = _ENTRIES.get((kind, length))
        values |= read(data[at + 2 : at + 2 + length]) if read is not None else {}
        at += 2 + length
    return values


# the custom formats of thermometers with other firmware

_ATC1441: Final = struct.Struct(">6xhBBHx")
_PVVX: Final = struct.Struct("<6xhHHBxx")


def custom(data: bytes) -> Values:
    """One frame of ATC1441's or pvvx's custom format, told apart by their length; others are encrypted."""
    if len(data) == _ATC1441.size:
        tenths, humidity, battery, millivolts = _ATC1441.unpack(data)
        return {"tempc": tenths / 10, "hum": humidity, "batt": battery, "volt": millivolts / 1000}
    if len(data) == _PVVX.size:
        hundredths, humidity, millivolts, battery = _PVVX.unpack(data)
        return {"tempc": hundredths / 100, "hum": humidity / 100, "batt": battery, "volt": millivolts / 1000}
    return {}


# BTHome v2: a byte of information, then objects whose length follows from their id


class _Object(NamedTuple):
    size: int
    key: str = ""
    factor: float = 1
    is_signed: bool = False
    is_flag: bool = False


def _flag(key: str = "") -> _Object:
    return _Object(1, key, is_flag=True)


_BTHOME: Final[dict[int, _Object]] = {
    0x00: _Object(1), 0x01: _Object(1, "batt"), 0x02: _Object(2, "tempc", 0.01, is_signed=True),
    0x03: _Object(2, "hum", 0.01), 0x04: _Object(3, "pres", 0.01), 0x05: _Object(3, "lux", 0.01), 0x06: _Object(2),
    0x07: _Object(2), 0x08: _Object(2, "dewp", 0.01, is_signed=True), 0x09: _Object(1),
    0x0A: _Object(3, "energy", 0.001), 0x0B: _Object(3, "power", 0.01), 0x0C: _Object(2, "voltage", 0.001),
    0x0D: _Object(2, "pm25"), 0x0E: _Object(2, "pm10"), 0x0F: _flag(), 0x10: _flag(), 0x11: _flag("open"),
    0x12: _Object(2, "co2"), 0x13: _Object(2, "tvoc"), 0x14: _Object(2), 0x15: _flag("lowbatt"), 0x16: _flag(),
    0x17: _flag(), 0x18: _flag(), 0x19: _flag(), 0x1A: _flag("open"), 0x1B: _flag("open"), 0x1C: _flag("gas"),
    0x1D: _flag(), 0x1E: _flag(), 0x1F: _flag(), 0x20: _flag("leak"), 0x21: _flag("motion"), 0x22: _flag(),
    0x23: _flag("presence"), 0x24: _flag(), 0x25: _flag("presence"), 0x26: _flag(), 0x27: _flag(), 0x28: _flag(),
    0x29: _flag("smoke"), 0x2A: _flag(), 0x2B: _flag("tamper"), 0x2C: _flag("vibr"), 0x2D: _flag("open"),
    0x2E: _Object(1, "hum"), 0x2F: _Object(1), 0x3A: _Object(1), 0x3C: _Object(2), 0x3D: _Object(2), 0x3E: _Object(4),
    0x3F: _Object(2), 0x40: _Object(2), 0x41: _Object(2), 0x42: _Object(3), 0x43: _Object(2, "current", 0.001),
    0x44: _Object(2, "wind", 0.01), 0x45: _Object(2, "tempc", 0.1, is_signed=True), 0x46: _Object(1), 0x47: _Object(2),
    0x48: _Object(2), 0x49: _Object(2), 0x4A: _Object(2, "voltage", 0.1), 0x4B: _Object(3), 0x4C: _Object(4),
    0x4D: _Object(4, "energy", 0.001), 0x4E: _Object(4), 0x4F: _Object(4), 0x50: _Object(4), 0x51: _Object(2),
    0x52: _Object(2), 0x55: _Object(4), 0x56: _Object(2), 0x57: _Object(1, "tempc", is_signed=True),
    0x58: _Object(1, "tempc", 0.35, is_signed=True), 0x59: _Object(1), 0x5A: _Object(2), 0x5B: _Object(4),
    0x5C: _Object(4, "power", 0.01, is_signed=True), 0x5D: _Object(2, "current", 0.001, is_signed=True),
    0x5E: _Object(2), 0x5F: _Object(2), 0x60: _Object(1), 0xF0: _Object(2), 0xF1: _Object(4), 0xF2: _Object(3),
}  # fmt: skip
"""Objects of BTHome; without a key, only their length matters."""
_TEXT, _RAW = 0x53, 0x54
_BTHOME_ENCRYPTED, _BTHOME_VERSION = 0x01, 2


def bthome(data: bytes) -> Values:
    """One frame, up to the first object that is unknown; of two of a kind, the first. Raises `FrameRefused`."""
    _at_least(data, 1)
    if data[0] & _BTHOME_ENCRYPTED or data[0] >> 5 != _BTHOME_VERSION:
        return {}
    at = 1
    values: Values = {}
    while at < len(data):
        kind = data[at]
        if kind in (_TEXT, _RAW):
            _at_least(data, at + 2)
            at += 2 + data[at + 1]
            continue
        if kind not in _BTHOME:
            break
        size, key, factor, is_signed, is_flag = _BTHOME[kind]
        _at_least(data, at + 1 + size)
        number = _little(data, at + 1, size, signed=is_signed)
        if key:
            values.setdefault(key, bool(number) if is_flag else number * factor)
        at += 1 + size
    return values


def _at_least(data: bytes, count: int) -> None:
    if len(data) < count:
        raise FrameRefused("length", "the advertisement ends within its data")
