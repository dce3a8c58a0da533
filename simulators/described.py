"""Devices that first say what they are: Homie and Sparkplug B. They say so once an hour, values once a cadence.

A Sparkplug node says so too when it is asked for a rebirth, and does nothing else that it is told.

Formats: Homie convention 5.0, "Topology" (`$state`, `$description`, retained; one topic for each property); Eclipse
Sparkplug specification 3.0, chapter 6 (payloads, protocol buffers of Eclipse Tahu: timestamp 1, metrics 2, seq 3; of a
metric name 1, alias 2, timestamp 3, datatype 4, long 11, double 13, boolean 14), "Birth certificates" and "Commands";
protobuf.dev, "Encoding".
"""

from __future__ import annotations

import json
import struct
from itertools import islice
from typing import TYPE_CHECKING, Final

from simulators.emissions import Emission
from simulators.gauge import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulators.emissions import Emitter
    from simulators.gauge import Readings
    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

DESCRIBE_MS: Final = 3_600_000
GROUP: Final = "school"
_WIDTHS: Final = {1: 8, 5: 4}
"""Bytes of values whose wire type says how many they are."""
_REBIRTH: Final = "Node Control/Rebirth"
_PROPERTIES: Final = (("co2", "carbon_dioxide", 0), ("temperature", "temperature", 2), ("humidity", "humidity", 1))
_UNITS: Final = {"co2": "ppm", "temperature": "°C", "humidity": "%"}
_UINT64, _DOUBLE, _BOOLEAN = 8, 10, 11
"""Numbers of data types (Sparkplug 3.0, section 6.4.16)."""


def homie(model: DeviceModel, room: Senses, rng: Noise) -> Iterator[Emitter]:
    """Everything that one Homie device publishes: its description, its state, then each property."""
    base = f"homie/5/{model.id}"
    properties = {name: {"datatype": "float", "unit": unit} for name, unit in _UNITS.items()}
    description = {"homie": "5.0", "version": 1, "nodes": {"air": {"type": "air", "properties": properties}}}
    yield _Fixed(model, 1, f"{base}/$description", json.dumps(description, ensure_ascii=False).encode(), ())
    yield _Fixed(model, 2, f"{base}/$state", b"ready", (("connectivity", 1.0),))
    for name, quantity, decimals in _PROPERTIES:
        topic = f"{base}/air/{name}"
        yield _Property(model, Gauge(room, rng), topic=topic, quantity=quantity, decimals=decimals)


class _Fixed:
    """A message that is the same every time."""

    def __init__(self, model: DeviceModel, phase_ms: int, topic: str, payload: bytes, readings: Readings) -> None:
        self.id, self.cadence_ms, self.phase_ms = model.id, DESCRIBE_MS, phase_ms
        self._topic, self._payload, self._readings = topic, payload, readings

    def emit(self, at_ms: int) -> Emission:
        """The message."""
        return Emission(self.id, at_ms, self._topic, self._payload, self._readings)


class _Property:
    def __init__(self, model: DeviceModel, gauge: Gauge, *, topic: str, quantity: str, decimals: int) -> None:
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = gauge.rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._topic, self._quantity, self._decimals = topic, quantity, decimals
        self._gauge = gauge

    def emit(self, at_ms: int) -> Emission:
        """The value of that moment, as bare text."""
        value = self._gauge.number(self._quantity, self._decimals)
        text = f"{value:.{self._decimals}f}"
        return Emission(self.id, at_ms, self._topic, text.encode(), self._gauge.told())


class SparkplugNode:
    """An edge node that is born at the beginning and once an hour, and reports by aliases in between."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self.command_topic = f"spBv1.0/{GROUP}/NCMD/{model.id}"
        self._gauge = Gauge(room, rng)
        self._born_ms: int | None = None
        self._sequence = 0
        self._measured: tuple[int, tuple[float, ...]] = (0, ())
        """The last values, and when they were measured."""

    def emit(self, at_ms: int) -> Emission:
        """A birth, or data."""
        self._measured = at_ms, tuple(self._gauge.number(quantity, 2) for _, quantity, _ in _PROPERTIES)
        if self._born_ms is None or at_ms - self._born_ms >= DESCRIBE_MS:
            self._born_ms = at_ms
            return self._birth(at_ms)
        return self._say("NDATA", at_ms, self._metrics(is_birth=False), self._gauge.told())

    def obey(self, payload: bytes, at_ms: int) -> Emission | None:
        """A birth with the values of before, if a rebirth is asked for."""
        if self._born_ms is None or not _is_rebirth(payload):
            return None
        told = zip((quantity for _, quantity, _ in _PROPERTIES), self._measured[1], strict=True)
        for quantity, value in told:
            self._gauge.say(quantity, value)
        return self._birth(at_ms)

    def _birth(self, at_ms: int) -> Emission:
        self._sequence = 0
        self._gauge.say("connectivity", 1.0)
        control = [_metric("bdSeq", None, at_ms, 0), _metric(_REBIRTH, None, at_ms, value=False)]
        return self._say("NBIRTH", at_ms, control + self._metrics(is_birth=True), self._gauge.told())

    def _metrics(self, *, is_birth: bool) -> list[bytes]:
        at_ms, values = self._measured
        return [
            _metric(f"Room/{name}" if is_birth else None, alias, at_ms, value)
            for alias, ((name, _, _), value) in enumerate(zip(_PROPERTIES, values, strict=True), start=1)
        ]

    def _say(self, kind: str, at_ms: int, metrics: list[bytes], readings: Readings) -> Emission:
        payload = _varint(1, at_ms) + b"".join(_bytes(2, metric) for metric in metrics) + _varint(3, self._sequence)
        self._sequence = (self._sequence + 1) % 256
        return Emission(self.id, at_ms, f"spBv1.0/{GROUP}/{kind}/{self.id}", payload, readings)


def _is_rebirth(payload: bytes) -> bool:
    """Whether a command's payload asks for a rebirth: a metric of that name that is true."""
    metrics = [
        dict(_fields(content)) for number, content in _fields(payload) if number == 2 and isinstance(content, bytes)
    ]
    return any(metric.get(1) == _REBIRTH.encode() and metric.get(14) == 1 for metric in metrics)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message by number: integers, and everything else as bytes."""
    reader = iter(data)
    for first in reader:
        number, wire_type = first >> 3, first & 7
        width = _WIDTHS[wire_type] if wire_type in _WIDTHS else _integer(reader)
        yield number, width if wire_type == 0 else bytes(islice(reader, width))


def _integer(reader: Iterator[int]) -> int:
    value = place = 0
    for byte in reader:
        value |= (byte & 127) << place
        place += 7
        if byte < 128:
            break
    return value


def _metric(name: str | None, alias: int | None, at_ms: int, value: float) -> bytes:
    parts = b"" if name is None else _bytes(1, name.encode())
    if alias is not None:
        parts += _varint(2, alias)
    parts += _varint(3, at_ms)
    if isinstance(value, bool):
        return parts + _varint(4, _BOOLEAN) + _varint(14, value)
    if isinstance(value, int):
        return parts + _varint(4, _UINT64) + _varint(11, value)
    return parts + _varint(4, _DOUBLE) + _key(13, 1) + struct.pack("<d", value)


def _key(number: int, wire_type: int) -> bytes:
    return _base_128(number << 3 | wire_type)


def _varint(number: int, value: int) -> bytes:
    return _key(number, 0) + _base_128(value)


def _bytes(number: int, content: bytes) -> bytes:
    return _key(number, 2) + _base_128(len(content)) + content


def _base_128(value: int) -> bytes:
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)
