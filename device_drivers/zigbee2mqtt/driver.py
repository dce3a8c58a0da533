"""zigbee2mqtt: one flat JSON object per device, its keys the `exposes` of the device.

Topics: zigbee2mqtt.io, "MQTT Topics and Messages". Keys and units: zigbee-herdsman-converters, `src/lib/exposes.ts`.
Two forms beside the usual one: `output: attribute` publishes one bare value on `<base>/<name>/<key>`, and
availability comes on `<base>/<name>/availability`, bare or as `{"state": ...}`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.json_table import Column, JsonTable, parse, parse_object, tellable
from device_drivers.manifest import load

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings

_ENVELOPE: Final = ("last_seen", "elapsed")
_AVAILABILITY: Final = "availability"
_COMMANDS: Final = ("set", "get")
_PER_ENDPOINT: Final = (
    "state", "power", "power_apparent", "power_reactive", "power_factor", "energy", "current", "voltage", "temperature",
    "humidity", "illuminance", "occupancy", "contact", "water_leak",
)  # fmt: skip
"""Keys that devices with several outlets, gangs, probes or circuits repeat, with the endpoint's name behind them."""
_ENDPOINTS: Final = (
    *(f"l{number}" for number in range(1, 17)), *map(str, range(1, 9)), "ep1", "ep2", "ep3", "ep4", "left", "center",
    "right", "top", "bottom", "top_left", "top_right", "center_left", "center_right", "bottom_left", "bottom_right",
    "row_1", "row_2", "row_3", "row_4", "relay", "usb",
)  # fmt: skip
"""zigbee2mqtt.io, "Device specific configuration", and the definitions of zigbee-herdsman-converters."""
_CIRCUITS: Final = ("a", "b", "c", "ab", "X", "Y", "Z")
"""Phases or clamps of Tuya's meters (`src/lib/tuya.ts`, `powerWithPhase`), which give the power factor in percent."""
_ELECTRIC: Final = ("power", "energy", "current", "voltage", "power_factor")
_PERCENT: Final = 0.01
_LEAST_MILLIVOLTS: Final = 1000
_LEAST_CELL_MILLIVOLTS: Final = 450
"""Above every mains voltage, below every cell in use."""
_LATEST_MS: Final = 10**14
_WORD: Final = re.compile(rb"[A-Za-z0-9_ .:+-]{0,64}")


def create(settings: Settings) -> Zigbee2Mqtt:  # noqa: ARG001 - the contract's signature; every model is read alike
    """The driver for one device."""
    return Zigbee2Mqtt(_table())


@cache
def _table() -> JsonTable:
    """The fields of `driver.toml`, the same for every device."""
    columns = {row.key: Column.of(row) for row in load(Path(__file__).parent).field}
    for key in _PER_ENDPOINT:
        for endpoint in _ENDPOINTS:
            columns[f"{key}_{endpoint}"] = replace(columns[key], channel=endpoint, unless="")
    for circuit in _CIRCUITS:
        channel = circuit.lower()
        for key in _ELECTRIC:
            columns[f"{key}_{circuit}"] = replace(columns[key], channel=channel)
        columns[f"power_factor_{circuit}"] = replace(columns[f"power_factor_{circuit}"], factor=_PERCENT)
        columns[f"energy_produced_{circuit}"] = replace(columns["energy"], channel=f"export-{channel}")
    return JsonTable(columns, _ENVELOPE)


class Zigbee2Mqtt:
    """Decodes what zigbee2mqtt publishes for one device."""

    def __init__(self, table: JsonTable) -> None:
        self._table = table

    def decode(self, frame: Frame) -> Decoded:
        """Understand one publication. Raises `FrameRefused`."""
        payload = frame.payload
        path, _, leaf = frame.topic.rpartition("/")
        if leaf in _COMMANDS:
            raise FrameRefused("not_a_device_frame", "a command to the device, not a message of it")
        if leaf == _AVAILABILITY:
            return self._availability(payload)
        if payload.startswith(b"{") or payload.lstrip().startswith(b"{"):
            document = parse_object(payload)
            if "voltage" in document:
                _voltage_in_volts(document)
            last_seen = document.get("last_seen")
            return self._table.read(document, None if last_seen is None else _event_ms(last_seen))
        if "/" not in path:
            raise FrameRefused("malformed", "the payload is not a JSON object")
        return self._attribute(leaf, payload)

    def _availability(self, payload: bytes) -> Decoded:
        state = parse_object(payload).get("state") if payload.lstrip()[:1] == b"{" else _word(payload)
        column = self._table.columns[_AVAILABILITY]
        number = column.number(state)
        if number is None:
            raise FrameRefused("malformed", "availability is neither online nor offline")
        return Decoded.of((Measurement(column.quantity, number),))

    def _attribute(self, key: str, payload: bytes) -> Decoded:
        column = self._table.columns.get(key)
        value: Any
        try:
            value = parse(payload)
        except FrameRefused:
            value = _word(payload)  # in this mode text stands without quotes
        if isinstance(value, (dict, list)):
            raise FrameRefused("malformed", "an attribute that is not one value")
        if value in (None, "") or key in self._table.envelope:
            return Decoded()
        document = {key: value}
        _voltage_in_volts(document)
        number = column.number(document[key]) if column is not None else None
        if column is None or number is None:
            return Decoded((), (tellable(key),))
        return Decoded.of((Measurement(column.quantity, number, column.channel),))


def _word(payload: bytes) -> str:
    """A bare value of the attribute mode. Raises `FrameRefused` for what can be none."""
    stripped = payload.strip()
    if _WORD.fullmatch(stripped) is None:
        raise FrameRefused("malformed", "the payload is neither JSON nor one word")
    return stripped.decode("ascii")


def _voltage_in_volts(document: dict[str, Any]) -> None:
    """Devices on batteries give `voltage` in millivolts, under the key that others give in volts."""
    voltage = document.get("voltage")
    if isinstance(voltage, (int, float)) and not isinstance(voltage, bool):
        least = _LEAST_CELL_MILLIVOLTS if document.get("battery") is not None else _LEAST_MILLIVOLTS
        if least < voltage <= 1000 * _LEAST_MILLIVOLTS:
            document["voltage"] = voltage / 1000


def _event_ms(last_seen: object) -> int | None:
    """`last_seen` as the setting `advanced.last_seen` writes it: epoch milliseconds, or ISO 8601 with its offset."""
    if isinstance(last_seen, str):
        try:
            moment = datetime.fromisoformat(last_seen)
        except ValueError:
            return None
        if moment.tzinfo is None:
            return None
        last_seen = moment.timestamp() * 1000
    if isinstance(last_seen, (int, float)) and not isinstance(last_seen, bool) and 0 < last_seen < _LATEST_MS:
        return round(last_seen)
    return None
