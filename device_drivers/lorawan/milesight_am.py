"""Milesight AM100 and AM300: entries of channel, type and a little-endian value, on port 85.

Source: Milesight, "AM100 Series User Guide" and "AM300 Series User Guide", chapter "Uplink Packet", and the payload
tables of Milesight's product pages. An entry's length follows from channel and type alone: at the first that is not in
the table nothing behind it can be read, and what was read before it stands.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from device_drivers.contract import Decoded, FrameRefused, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_MEASURED: Final = (0xFFFE, 0xFFFF)
"""What a word holds when its sensor failed or ran over."""
_HEADER: Final = 2


@dataclass(frozen=True, slots=True)
class Value:
    """One value in an entry: its `struct` code, and the quantity that it becomes when it is multiplied by `scale`."""

    code: str
    quantity: str = ""
    scale: float = 1.0
    flag: str = ""
    """The quantity that the word's highest bit is."""


Entries: TypeAlias = dict[bytes, tuple[Value, ...]]

_MEASURED: Final[Entries] = {
    b"\x01\x75": (Value("B", "battery"),),
    b"\x03\x67": (Value("h", "temperature", 0.1),),
    b"\x04\x68": (Value("B", "humidity", 0.5),),
    b"\x05\x00": (Value("B", "occupancy"),),
    b"\x05\x6a": (Value("H", "motion_count"),),
    b"\x05\x9f": (Value("H", "motion_count", flag="occupancy"),),
    b"\x06\x65": (Value("H", "illuminance"), Value("H"), Value("H")),  # visible and infrared, infrared: raw
    b"\x06\x94": (Value("I", "illuminance"),),
    b"\x06\x9d": (Value("H", "illuminance"),),
    b"\x06\xcb": (Value("B", "illuminance_level"),),
    b"\x07\x7d": (Value("H", "carbon_dioxide"),),
    b"\x08\xe6": (Value("H", "volatile_organic_compounds"),),
    b"\x09\x73": (Value("H", "atmospheric_pressure", 0.1),),
    b"\x0b\x7d": (Value("H", "pm25"),),
    b"\x0c\x7d": (Value("H", "pm10"),),
    # crossed thresholds: the measured value, and which threshold
    b"\x83\x67": (Value("h", "temperature", 0.1), Value("B")),
    b"\x86\x9d": (Value("H", "illuminance"), Value("B")),
    b"\x87\x7d": (Value("H", "carbon_dioxide"), Value("B")),
}
_UNREAD: Final[Entries] = {
    b"\x0e\x01": (Value("B"),),  # buzzer
    b"\xb3\x67": (Value("B"),),  # a sensor that failed
    b"\xb4\x68": (Value("B"),),
    b"\xb6\xcb": (Value("B"),),
    b"\xb6\x9d": (Value("B"),),
    b"\xb7\x7d": (Value("B"),),
    b"\xff\x01": (Value("B"),),  # protocol version
    b"\xff\x09": (Value("2s"),),  # hardware version
    b"\xff\x0a": (Value("2s"),),  # firmware version
    b"\xff\x0b": (Value("B"),),  # switched on
    b"\xff\x0f": (Value("B"),),  # LoRaWAN class
    b"\xff\x16": (Value("8s"),),  # serial number
    b"\xff\xfe": (Value("B"),),  # reset
    b"\xff\xff": (Value("2s"),),  # version of the thing's description
}
_IAQ: Final[Entries] = {b"\x08\x7d": (Value("H", "voc_index"),)}
_IAQ_IN_HUNDREDTHS: Final[Entries] = {b"\x08\x7d": (Value("H", "voc_index", 0.01),)}
_FORMALDEHYDE: Final[Entries] = {b"\x0a\x7d": (Value("H", "formaldehyde", 10.0),)}  # 0.01 mg/m3
_OZONE: Final[Entries] = {b"\x0a\x7d": (Value("H", "ozone", 0.01),)}


def _entries(model: str) -> Entries:
    table = _MEASURED | _UNREAD | (_IAQ if model.startswith("AM1") else _IAQ_IN_HUNDREDTHS)
    if "HCHO" in model:
        return table | _FORMALDEHYDE
    return table | _OZONE if "O3" in model else table


class MilesightAm:
    """Reads the payloads of one model."""

    PORT: ClassVar = 85

    def __init__(self, model: str) -> None:
        self._entries = _entries(model)

    def decode(self, payload: bytes) -> Decoded:
        """Every entry up to the first that is unknown, such as history. Raises `FrameRefused` when one is cut off."""
        measurements: list[Measurement] = []
        dropped: list[str] = []
        position = 0
        while position < len(payload):
            header = payload[position : position + _HEADER]
            values = self._entries.get(header)
            if values is None and len(header) == _HEADER:
                dropped.append(header.hex())
                break
            layout = struct.Struct("<" + "".join(value.code for value in values or ()))
            position += _HEADER + layout.size
            if values is None or position > len(payload):
                raise FrameRefused("length", "the payload ends within an entry")
            found = list(_measured(values, layout.unpack_from(payload, position - layout.size)))
            measurements += found
            if not found:
                dropped.append(header.hex())
        return Decoded.of(measurements, tuple(dropped))


def _measured(values: tuple[Value, ...], words: tuple[int | bytes, ...]) -> Iterator[Measurement]:
    for value, word in zip(values, words, strict=True):
        if not value.quantity or not isinstance(word, int) or (value.code == "H" and word in _NOT_MEASURED):
            continue
        if value.flag:
            yield Measurement(value.flag, float(word >> 15))
        yield Measurement(value.quantity, (word & 0x7FFF if value.flag else word) * value.scale)
