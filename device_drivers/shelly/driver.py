"""Shelly of the second generation and later: the status of components, whole or as far as it changed.

Source: shelly-api-docs.shelly.cloud, "Gen2 Device API": "MQTT" (topics `<prefix>/status/<component>`,
`<prefix>/events/rpc`, `<prefix>/online`), "Notifications" (NotifyStatus, NotifyFullStatus) and "Components". A
component is `<type>:<number>`, or `<type>` where a device has one of it. What its keys are is in `driver.toml`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Decoded, FrameRefused, Layout, Measurement, Row
from device_drivers.json_table import parse_object, tellable
from device_drivers.manifest import load
from device_drivers.tables.documents import DocumentFormat, DocumentRow, Documents

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings

_STATUS, _ONLINE = "status", "online"
_COMMANDS: Final = ("rpc", "command")
_FULL_OR_PARTIAL: Final = frozenset(("NotifyStatus", "NotifyFullStatus"))
_THERE: Final = {b"true": 1.0, b"false": 0.0}
_OF_THEIR_TYPE: Final = frozenset(("smoke", "flood", "presencezone", "wifi", "thermostat", "blutrv"))
"""Types whose keys mean something else in other components: their rows lie below the type's name."""
_OF_THE_HOUSE: Final = frozenset(
    ("ble", "blugw", "bthome", "cloud", "knx", "matter", "mqtt", "script", "sys", "ui", "ws")
)
"""Types that measure nothing, and stand in every full status."""
_STAMP: Final = "ts"
_ID: Final = re.compile(r"[\w.-]{0,64}", re.ASCII)
_METERS: Final = re.compile(r"shelly(?:pro)?\d*em")
"""How the ids of meters begin, whose `temperature:0` is their own and no room's."""
_MOST_NUMBER: Final = 999


def create(settings: Settings) -> Shelly:  # noqa: ARG001 - the contract's signature; every model is read alike
    """The driver for one device."""
    manifest = load(Path(__file__).parent)
    assert isinstance(manifest.format, DocumentFormat)
    return Shelly(Documents(manifest.format, [row for row in manifest.field if isinstance(row, DocumentRow)]))


class Shelly:
    """Decodes what one device publishes."""

    def __init__(self, table: Documents) -> None:
        self._table = table

    def decode(self, frame: Frame) -> Decoded:
        """Understand one publication. Raises `FrameRefused`."""
        *path, leaf = frame.topic.split("/")
        if leaf in _COMMANDS and "events" not in path:
            raise FrameRefused("not_a_device_frame", "a command to the device, or an answer to one")
        if leaf == _ONLINE and frame.payload in _THERE:
            return Decoded.of((Measurement("connectivity", _THERE[frame.payload]),))
        document = parse_object(frame.payload)
        if "method" in document:
            return self._notification(document)
        return self._component(leaf if path[-1:] == [_STATUS] else "", document)

    def _notification(self, document: dict[str, Any]) -> Decoded:
        """What changed, component by component, all at the moment that the notification names."""
        params = document.get("params")
        if document["method"] not in _FULL_OR_PARTIAL or not isinstance(params, dict):
            raise FrameRefused("not_a_device_frame", "neither a status nor a change of one")
        source = document.get("src", "")
        if not isinstance(source, str) or _ID.fullmatch(source) is None:
            raise FrameRefused("malformed", "the notification does not say of which device it is")
        is_meter = _METERS.match(source) is not None
        rows: list[Row] = []
        dropped: list[str] = []
        for name, status in params.items():
            kind = name.partition(":")[0]
            if kind == _STAMP or kind in _OF_THE_HOUSE:
                continue
            if not isinstance(status, dict):
                dropped.append(tellable(name))
                continue
            is_own = is_meter and kind == "temperature"
            told = {kind: {"tC": status.get("tC")}} if is_own else status
            found = self._component(name, told | {_STAMP: params.get(_STAMP)})
            rows += found.rows
            dropped += found.dropped
        return _once(rows, dropped)

    def _component(self, name: str, status: dict[str, Any]) -> Decoded:
        """What one component says, on the channel of its number; a change does not always repeat the number."""
        kind, _, digits = name.partition(":")
        number = status.get("id", int(digits) if digits.isdecimal() and len(digits) <= len(str(_MOST_NUMBER)) else 0)
        if kind in _OF_THEIR_TYPE:
            inner = {key: value for key, value in status.items() if key not in ("id", _STAMP)}
            status = {_STAMP: status.get(_STAMP), kind: inner}
        found = self._table.read(status)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _MOST_NUMBER:
            return found
        return Decoded(
            tuple(Row(_on(row.layout, number), row.values, row.event_ms) for row in found.rows), found.dropped
        )


def _on(layout: Layout, number: int) -> Layout:
    """The same columns, of the component of that number."""
    columns = ((name, f"{channel}-{number}" if channel else str(number)) for name, channel in layout.columns)
    return Layout.of(tuple(columns))


def _once(rows: list[Row], dropped: list[str]) -> Decoded:
    """All rows; of two components that would tell the same on the same channel, the first."""
    told = {column for row in rows for column in row.layout.columns}
    if len(told) == sum(len(row.values) for row in rows):
        return Decoded(tuple(rows), tuple(dropped))
    found: dict[tuple[str, str], Measurement] = {}
    measurements = Decoded(tuple(rows)).measurements
    again = [
        each.quantity for each in measurements if found.setdefault((each.quantity, each.channel), each) is not each
    ]
    return Decoded.of(found.values(), (*dropped, *again))
