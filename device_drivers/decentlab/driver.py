"""Decentlab's protocol 2: groups of 16-bit words, and flags that say which groups are there.

Source: Decentlab, "LoRaWAN payload" of each product's data sheet, and its own decoders (github.com/decentlab). Bytes:
version, device number in two, flags in two with the first group lowest, then the words of each group that is there,
high byte first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.tables.lorawan import Lorawan, LorawanTable

if TYPE_CHECKING:
    from device_drivers.contract import Settings

_VERSION, _HEAD = 2, 5
_TOLD: Final = frozenset(("signal_strength", "battery"))

_Words: TypeAlias = Sequence[int]


class _Value(NamedTuple):
    quantity: str
    of: Callable[[_Words], float]
    channel: str = ""


class _Group(NamedTuple):
    words: int
    values: tuple[_Value, ...]


def _scaled(quantity: str, word: int, factor: float, shift: float = 0.0, channel: str = "") -> _Value:
    return _Value(quantity, lambda words: words[word] * factor + shift, channel)


def _light(words: _Words) -> float:
    """Lux from two photodiodes: visible and infrared light, infrared light."""
    both, infrared = words[0], words[1]
    return max(1.0 * both - 1.64 * infrared, 0.59 * both - 0.86 * infrared, 0) * 1.5504


_BATTERY: Final = _Group(1, (_scaled("battery_voltage", 0, 1e-3),))
_PRESSURE: Final = _Group(1, (_scaled("atmospheric_pressure", 0, 0.02),))
_SHT21: Final = _Group(2, (_scaled("temperature", 0, 175.72 / 65536, -46.85), _scaled("humidity", 1, 125 / 65536, -6)))
_SHT35: Final = _Group(2, (_scaled("temperature", 0, 175 / 65535, -45), _scaled("humidity", 1, 100 / 65535)))

_MODELS: Final[dict[str, tuple[_Group, ...]]] = {
    "DL-IAM": (
        _BATTERY,
        _SHT35,
        _PRESSURE,
        _Group(2, (_Value("illuminance", _light),)),
        _Group(3, (_scaled("carbon_dioxide", 0, 1, -32768),)),
        _Group(1, (_scaled("motion_count", 0, 1),)),
        _Group(1, (_scaled("volatile_organic_compounds_parts", 0, 1),)),
    ),
    "DL-LP8P": (
        _SHT21,
        _Group(2, (_scaled("atmospheric_pressure", 1, 0.02),)),
        _Group(8, (_scaled("carbon_dioxide", 0, 1, -32768),)),
        _BATTERY,
    ),
    "DL-PM": (
        _BATTERY,
        _Group(
            10,
            (
                _scaled("pm1", 0, 0.1),
                _scaled("pm25", 1, 0.1),
                _scaled("pm4", 2, 0.1),
                _scaled("pm10", 3, 0.1),
            ),
        ),
        _SHT21,
        _PRESSURE,
    ),
    "DL-ITST": (_Group(2, (_scaled("temperature", 0, 0.1, -100, "surface"),)), _BATTERY),
    "DL-RHC": (_Group(4, (_scaled("temperature", 3, 0.01, -327.68), _scaled("humidity", 2, 0.01))), _BATTERY),
    "DL-SHT21": (_SHT21, _BATTERY),
    "DL-SHT35": (_SHT35, _BATTERY),
    "DL-PAR": (_Group(1, ()), _BATTERY),
    "DL-DS18": (_Group(1, (_scaled("temperature", 0, 1 / 16, -2048),)), _BATTERY),
    "DL-ATM22": (
        _Group(8, (_scaled("wind_speed", 0, 0.01, -327.68), _scaled("temperature", 3, 0.1, -3276.8))),
        _BATTERY,
    ),
    "DL-ATM41": (
        _Group(
            17,
            (
                _scaled("wind_speed", 4, 0.01, -327.68),
                _scaled("temperature", 7, 0.1, -3276.8),
                _scaled("atmospheric_pressure", 9, 0.1, -3276.8),
                _scaled("humidity", 10, 0.1, -3276.8),
            ),
        ),
        _BATTERY,
    ),
}
"""Groups by model, in the order of the flags."""


def create(settings: Settings) -> Lorawan:
    """The driver for one sensor."""
    groups = _MODELS[settings.model]
    return Lorawan(lambda payload: _decode(payload, groups), LorawanTable().port_of(settings), _TOLD)


def _decode(payload: bytes, groups: Sequence[_Group]) -> Decoded:
    if len(payload) < _HEAD:
        raise FrameRefused("length", "the payload is too short to have groups")
    if payload[0] != _VERSION:
        raise FrameRefused("version", f"the payload is not of protocol {_VERSION}")
    flags = int.from_bytes(payload[3:5], "big")
    there = [group for place, group in enumerate(groups) if flags >> place & 1]
    if flags >> len(groups) or len(payload) != _HEAD + 2 * sum(group.words for group in there):
        raise FrameRefused("length", "the payload has not the groups that its flags name")
    measurements: list[Measurement] = []
    dropped: list[str] = []
    place = _HEAD
    for group in there:
        words = struct.unpack_from(f">{group.words}H", payload, place)
        measurements += [Measurement(value.quantity, value.of(words), value.channel) for value in group.values]
        dropped += [] if group.values else ["group"]
        place += 2 * group.words
    return Decoded.of(measurements, tuple(dropped))
