"""Advertisements that carry measurements as manufacturer data, read into the gateway's own keys.

Sources: Sensirion, "BLE communication protocol" of its gadgets (company 0x06D5); SAF Tehnika, "Aranet4 Bluetooth"
(0x0702); Govee H5072, H5075 and H5106 as github.com/custom-components/ble_monitor documents them; iNode, "Energy
Meter", format of frames. Company numbers come first, low byte first.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from device_drivers.contract import FrameRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.openmqttgateway.service_data import Values

_SENSIRION, _ARANET = b"\xd5\x06\x00", b"\x02\x07"
_GOVEE, _GOVEE_AIR = b"\x88\xec", b"\x01\x00\x01\x01"
_INODE_METER: Final = 0x82

_SENSIRION_HEAD: Final = 6
_SENSIRION_WITH_CO2: Final = (8, 10, 12)
_SENSIRION_TYPES: Final[dict[int, Callable[[int], float]]] = {
    4: lambda raw: 100 * raw / 65535,
    6: lambda raw: 125 * raw / 65535 - 6,
    8: lambda raw: 100 * raw / 65535,
    10: lambda raw: 100 * raw / 65535,
    12: lambda raw: 100 * raw / 65535,
}
"""Types of samples, and how each has its humidity."""


def sensirion(data: bytes) -> Values:
    """A sample of a Sensirion gadget. Raises `FrameRefused`."""
    _starts(data, _SENSIRION, _SENSIRION_HEAD + 4)
    kind = data[3]
    humidity = _SENSIRION_TYPES.get(kind)
    if humidity is None:
        return {}
    temperature, raw = struct.unpack_from("<HH", data, _SENSIRION_HEAD)
    values: Values = {"tempc": 175 * temperature / 65535 - 45, "hum": humidity(raw)}
    if kind in _SENSIRION_WITH_CO2:
        _starts(data, _SENSIRION, _SENSIRION_HEAD + 6)
        values["co2"] = struct.unpack_from("<H", data, _SENSIRION_HEAD + 4)[0]
    return values


_ARANET_AT: Final = 10
_ARANET_INVALID: Final = 0x8000
_ARANET_INTEGRATION: Final = 0x20
"""The flag of "smart home integration", without which the values are no measurements."""


def aranet4(data: bytes) -> Values:
    """CO2, temperature, pressure, humidity and battery of an Aranet4. Raises `FrameRefused`."""
    _starts(data, _ARANET, _ARANET_AT + 8)
    if not data[2] & _ARANET_INTEGRATION:
        return {}
    co2, twentieths, tenths, humidity, battery = struct.unpack_from("<HHHBB", data, _ARANET_AT)
    values: Values = {"hum": humidity, "batt": battery}
    if not co2 & _ARANET_INVALID:
        values["co2"] = co2
    if not twentieths & _ARANET_INVALID:
        values["tempc"] = twentieths / 20
    if not tenths & _ARANET_INVALID:
        values["pres"] = tenths / 10
    return values


_GOVEE_MINUS, _GOVEE_AIR_MINUS = 1 << 23, 1 << 31


def govee(data: bytes) -> Values:
    """Govee H5072 and H5075: six decimal digits, three of temperature and three of humidity. Raises `FrameRefused`."""
    _starts(data, _GOVEE, 7)
    packed = int.from_bytes(data[3:6], "big")
    sign = -1 if packed & _GOVEE_MINUS else 1
    tenths, humidity = divmod(packed & ~_GOVEE_MINUS, 1000)
    return {"tempc": sign * tenths / 10, "hum": humidity / 10, "batt": data[6] & 0x7F}


def govee_air(data: bytes) -> Values:
    """Govee H5106: nine decimal digits, three each of temperature, humidity and PM2.5. Raises `FrameRefused`."""
    _starts(data, _GOVEE_AIR, 8)
    packed = int.from_bytes(data[4:8], "big")
    sign = -1 if packed & _GOVEE_AIR_MINUS else 1
    rest, dust = divmod(packed & ~_GOVEE_AIR_MINUS, 1000)
    tenths, humidity = divmod(rest, 1000)
    return {"tempc": sign * tenths / 10, "hum": humidity / 10, "pm25": dust}


_INODE: Final = struct.Struct("<BxHIHBxx")
_INODE_KWH: Final = 0
_INODE_LOW, _INODE_CUBIC = 0x04, 0x1000
"""Flags: the battery is low; the gateway takes it that cubic metres are counted, as in every example that is."""
_INODE_FULL: Final = 11


def inode_meter(data: bytes) -> Values:
    """An iNode meter of electricity: what it counted in the last minute, and in all. Raises `FrameRefused`."""
    if len(data) != _INODE.size or data[1] != _INODE_METER:
        raise FrameRefused("length", "the advertisement is none of an iNode energy meter")
    flags, last, total, options, battery = _INODE.unpack(data)
    unit, constant = options >> 14, options & 0x3FFF
    values: Values = {"batt": 10 * (min(max(battery >> 4, 1), _INODE_FULL) - 1), "lowbatt": bool(flags & _INODE_LOW)}
    if unit == _INODE_KWH and constant and not options & _INODE_CUBIC:
        values |= {"avg": 60 * last / constant, "sum": total / constant}
    return values


def _starts(data: bytes, start: bytes, least: int) -> None:
    """Refuse what does not begin so, or is shorter."""
    if not data.startswith(start):
        raise FrameRefused("header", "the advertisement is none of this model's")
    if len(data) < least:
        raise FrameRefused("length", "the advertisement ends within its data")
