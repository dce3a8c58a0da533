"""Sentrius RS1xx: messages whose first byte says what follows, with values as a fraction and a whole.

Source: Laird Connectivity, CS-AN "RS1xx LoRa Protocol" v2.7. A fraction, in hundredths, comes first and has the sign of
the whole: 27.43 is 43, 27 and -15.87 is -87, -15. Sensors with a platinum probe (RTD) have both in two bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.tables.lorawan import Lorawan, LorawanTable

if TYPE_CHECKING:
    from device_drivers.contract import Settings

_PORT: Final = 1
_TOLD: Final = frozenset(("signal_strength", "battery"))
_TH, _AGGREGATE, _CONTACT, _VOLTAGE, _RTD = 0x01, 0x02, 0x09, 0x0A, 0x0B
_LENGTHS: Final = {_TH: 11, _CONTACT: 6, _VOLTAGE: 4, _RTD: 11}
_FAULT: Final = 0x10
_HEAD, _BATTERY, _COUNT, _READING = 11, 5, 6, 4
_PROBE: Final = "RS1XX-EXT-TEMP-RTD-SENSOR"
_DOOR: Final = 0
_LOW_CAPACITIES: Final = (0, 1)
"""Up to 5 %, and up to 20 %."""


def create(settings: Settings) -> Lorawan:
    """The driver for one sensor."""
    port = LorawanTable(port=_PORT).port_of(settings)
    codec = _probe if settings.model == _PROBE else _climate
    return Lorawan(codec, port, _TOLD)


def _climate(payload: bytes) -> Decoded:
    """A message of a sensor that measures climate, with a contact or a digital probe perhaps."""
    return _message(payload, has_probe=False)


def _probe(payload: bytes) -> Decoded:
    """A message of a sensor with a platinum probe."""
    return _message(payload, has_probe=True)


def _message(payload: bytes, *, has_probe: bool) -> Decoded:
    if len(payload) < 2:
        raise FrameRefused("length", "the message is too short to be one")
    kind, options = payload[0], payload[1]
    needed = _LENGTHS.get(kind)
    if needed is not None and len(payload) != needed:
        raise FrameRefused("length", "the message is too short or too long for its kind")
    if options & _FAULT:
        raise FrameRefused("device_error", "the sensor says that it is faulty")
    if kind == _AGGREGATE:
        return _newest(payload, has_probe=has_probe)
    if kind == _TH:
        return Decoded.of((*_reading(payload[2:6], has_probe=False), _capacity(payload[6])))
    if kind == _RTD:
        return Decoded.of((*_reading(payload[2:6], has_probe=True), _capacity(payload[6])))
    if kind == _VOLTAGE:
        fraction, whole = struct.unpack_from("bb", payload, 2)
        return Decoded.of((Measurement("battery_voltage", whole + fraction / 100),))
    if kind == _CONTACT and payload[2] == _DOOR and payload[3] in (0, 1):
        return Decoded.of((Measurement("opening", payload[3]),))
    return Decoded((), (f"{kind:02x}",))


def _newest(payload: bytes, *, has_probe: bool) -> Decoded:
    """The last of some readings; of the others nothing says how far apart they were measured."""
    if len(payload) < _HEAD or len(payload) != _HEAD + payload[_COUNT] * _READING:
        raise FrameRefused("length", "the message is too short or too long for its readings")
    capacity = _capacity(payload[_BATTERY])
    if not payload[_COUNT]:
        return Decoded.of((capacity,))
    earlier = ("earlier readings",) if payload[_COUNT] > 1 else ()
    return Decoded.of((*_reading(payload[-_READING:], has_probe=has_probe), capacity), earlier)


def _reading(data: bytes, *, has_probe: bool) -> tuple[Measurement, ...]:
    if has_probe:
        fraction, whole = struct.unpack(">hh", data)
        return (Measurement("temperature", whole + fraction / 100),)
    humidity_fraction, humidity, fraction, whole = struct.unpack("BBbb", data)
    return (
        Measurement("temperature", whole + fraction / 100),
        Measurement("humidity", humidity + humidity_fraction / 100),
    )


def _capacity(level: int) -> Measurement:
    """Whether the battery's last fifth has begun: of six ranges, the message says in which it is."""
    return Measurement("battery_low", float(level in _LOW_CAPACITIES))
