"""Formats decoded by code that somebody wrote for them alone: what a driver that is a table is measured against."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement
from device_drivers.json_table import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

_PLANTOWER: Final = struct.Struct(">4x13H2x")
_PLANTOWER_WORDS: Final = (
    (0, "pm1_cf1", 1), (1, "pm25_cf1", 1), (2, "pm10_cf1", 1), (3, "pm1", 1), (4, "pm25", 1), (5, "pm10", 1),
    (6, "particle_count_0_3", 100), (7, "particle_count_0_5", 100), (8, "particle_count_1_0", 100),
    (9, "particle_count_2_5", 100), (10, "particle_count_5_0", 100), (11, "particle_count_10_0", 100),
)  # fmt: skip
_METER: Final = struct.Struct(">3x10H2x")
_ENTRIES: Final = {
    b"\x01\x75": ("B", "battery", 1.0),
    b"\x03\x67": ("h", "temperature", 0.1),
    b"\x04\x68": ("B", "humidity", 0.5),
    b"\x07\x7d": ("H", "carbon_dioxide", 1.0),
    b"\x09\x73": ("H", "atmospheric_pressure", 0.1),
}
_STATION: Final = {
    "rco2": ("carbon_dioxide", 1.0), "pm01": ("pm1", 1.0), "pm02": ("pm25", 1.0), "pm10": ("pm10", 1.0),
    "pm003Count": ("particle_count_0_3", 0.01), "atmpCompensated": ("temperature", 1.0),
    "rhumCompensated": ("humidity", 1.0), "tvocIndex": ("voc_index", 1.0), "noxIndex": ("nox_index", 1.0),
    "wifi": ("signal_strength", 1.0),
}  # fmt: skip


def plantower(frame: Frame) -> Decoded:
    """A frame of a PMS5003."""
    payload = frame.payload
    if not payload.startswith(b"BM\0\x1c"):
        raise FrameRefused("header", "another beginning")
    if len(payload) != 32:
        raise FrameRefused("length", "another length")
    if sum(payload[:-2]) & 0xFFFF != int.from_bytes(payload[-2:], "big"):
        raise FrameRefused("checksum", "another sum")
    words = _PLANTOWER.unpack(payload)
    if not any(words):
        raise FrameRefused("warming_up", "nothing but zeros")
    return Decoded.of(Measurement(name, words[index] / divisor) for index, name, divisor in _PLANTOWER_WORDS)


def mhz19(frame: Frame) -> Decoded:
    """An answer of an MH-Z19."""
    payload = frame.payload
    if len(payload) != 9:
        raise FrameRefused("length", "another length")
    if not payload.startswith(b"\xff\x86"):
        raise FrameRefused("header", "another beginning")
    if -sum(payload[1:8]) & 0xFF != payload[8]:
        raise FrameRefused("checksum", "another sum")
    carbon_dioxide = int.from_bytes(payload[2:4], "big")
    if not carbon_dioxide:
        raise FrameRefused("warming_up", "no CO2")
    measurements = [Measurement("carbon_dioxide", float(carbon_dioxide))]
    if payload[4]:
        measurements.append(Measurement("device_temperature", float(payload[4] - 40)))
    return Decoded.of(measurements)


def pzem(check_sum: Callable[[bytes], int]) -> Callable[[Frame], Decoded]:
    """An answer of a PZEM-004T; the check sum's code is the same for both."""

    def decode(frame: Frame) -> Decoded:
        payload = frame.payload
        if len(payload) != 25 or payload[1] != 4 or payload[2] != 20:
            raise FrameRefused("length", "another length")
        if check_sum(payload[:-2]) != int.from_bytes(payload[-2:], "little"):
            raise FrameRefused("checksum", "another sum")
        voltage, low, high, power, power_high, energy, energy_high, hertz, factor, alarm = _METER.unpack(payload)
        return Decoded.of(
            (
                Measurement("voltage", voltage * 0.1),
                Measurement("current", (high << 16 | low) * 0.001),
                Measurement("power", (power_high << 16 | power) * 0.1),
                Measurement("energy", (energy_high << 16 | energy) * 0.001),
                Measurement("frequency", hertz * 0.1),
                Measurement("power_factor", factor * 0.01),
                Measurement("electrical_overload", float(alarm == 0xFFFF)),
            )
        )

    return decode


def milesight(frame: Frame) -> Decoded:
    """Entries of an AM308."""
    payload, measurements, position = frame.payload, list[Measurement](), 0
    while position < len(payload):
        code, name, scale = _ENTRIES[payload[position : position + 2]]
        layout = struct.Struct("<" + code)
        position += 2 + layout.size
        if position > len(payload):
            raise FrameRefused("length", "cut")
        (word,) = layout.unpack_from(payload, position - layout.size)
        if code != "H" or word < 0xFFFE:
            measurements.append(Measurement(name, word * scale))
    return Decoded.of(measurements)


def airgradient(frame: Frame) -> Decoded:
    """A message of an AirGradient ONE."""
    document: dict[str, Any] = parse_object(frame.payload)
    measurements, dropped = list[Measurement](), list[str]()
    for key, value in document.items():
        row = _STATION.get(key)
        if row is None:
            dropped.append(key)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            measurements.append(Measurement(row[0], value * row[1]))
    return Decoded.of(measurements, tuple(dropped))


def lg_display(frame: Frame) -> Decoded:
    """A reply of an LG display to `ka`."""
    text = frame.payload.decode("latin-1")
    if len(text) != 10 or text[:2] != "a " or text[4:7] != " OK" or text[-1] != "x":
        raise FrameRefused("unexpected", "another reply")
    state = {"00": 0.0, "01": 2.0}.get(text[7:9])
    if state is None:
        raise FrameRefused("value", "another state")
    return Decoded.of((Measurement("display_power", state),))
