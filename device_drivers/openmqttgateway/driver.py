"""Bluetooth sensors heard by OpenMQTTGateway or Theengs Gateway: one JSON message for each advertisement.

Sources: docs.openmqttgateway.com, "BLE gateway"; decoder.theengs.io, "Devices" and "Properties". Topic:
`<base>/<gateway>/BTtoMQTT/<address>`. The gateway decodes what it knows (`tempc`, `hum`, ...); what it does not, it
publishes as `servicedata` or `manufacturerdata`, and the configured model says how that is read.

Phones and watches of pupils stand in every scan. A device here is one sensor that somebody has put on the list: its
topic is bound, its model named. What is in no sensor's format is refused, even to its signal, which would tell who is
there; and no name, address or distance is ever read.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Decoded, FrameRefused
from device_drivers.json_table import JsonTable, parse_object
from device_drivers.manifest import load
from device_drivers.openmqttgateway import manufacturer_data, service_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.contract import Frame, Settings
    from device_drivers.openmqttgateway.service_data import Values

_BRANCH: Final = "BTtoMQTT"
_ADDRESS: Final = re.compile(r"[0-9A-F]{12}")
_LONGEST_HEX: Final = 128
_SENSORS: Final = frozenset(("THB", "THBX", "AIR", "CTMO", "ENRG", "BATT", "PLANT", "WIND"))
"""Kinds of the gateway's that measure rooms; all others (`BODY`, `SCALE`, `TRACK`, `RMAC`, ...) are people's things."""
_MOVING, _ROOM_SENSORS = "ACEL", ("RuuviTag_RAWv1", "RuuviTag_RAWv2")
"""What tells of its own movement is a beacon that somebody may wear, but for these, which are sensors of the air."""
_ENVELOPE: Final = (
    "id", "mac", "mac_type", "adv_type", "rssi_type", "brand", "model", "model_id", "type", "acts", "cidc", "cont",
    "track", "prmac", "txpower", "servicedata", "servicedatauuid", "manufacturerdata", "avgu", "sumu", "encr",
    "cipher", "ctr", "mic",
)  # fmt: skip
_UNREAD: Final = ("name", "distance")
"""Never read, and never told of as dropped either: their presence says nothing."""
_KILOWATTS, _KILOWATT_HOURS = "kW", "kWh"

_SERVICES: Final[dict[str, Callable[[bytes], Values]]] = {
    "fe95": service_data.mibeacon,
    "fdcd": service_data.qingping,
    "181a": service_data.custom,
    "fcd2": service_data.bthome,
}
"""What reads the data of a service, by its number."""

_SERVICE_OF: Final = {"LYWSDCGQ": "fe95", "JQJCY01YM": "fe95", "LYWSD02": "fe95", "MHO-C401": "fe95"}
"""Services of models that gateways publish without one."""

_MANUFACTURERS: Final[dict[str, Callable[[bytes], Values]]] = {
    "SHT4X": manufacturer_data.sensirion,
    "SCD4X": manufacturer_data.sensirion,
    "ARANET4": manufacturer_data.aranet4,
    "H5072/75": manufacturer_data.govee,
    "H5106": manufacturer_data.govee_air,
    "INEM": manufacturer_data.inode_meter,
}
"""What reads a manufacturer's data, by the configured model."""


def create(settings: Settings) -> OpenMqttGateway:
    """The driver for one sensor."""
    return OpenMqttGateway(_table(), settings.model)


@cache
def _table() -> JsonTable:
    """The fields of `driver.toml`, the same for every sensor."""
    return JsonTable.of(load(Path(__file__).parent).field, _ENVELOPE)


class OpenMqttGateway:
    """Decodes what gateways hear of one sensor."""

    def __init__(self, table: JsonTable, model: str) -> None:
        self._table = table
        self._service = _SERVICE_OF.get(model, "")
        self._manufacturer = _MANUFACTURERS.get(model)

    def decode(self, frame: Frame) -> Decoded:
        """Understand one advertisement. Raises `FrameRefused`."""
        document = parse_object(frame.payload)
        _check_topic(frame.topic, document)
        kind = document.get("type")
        is_sensor = isinstance(kind, str) and (
            kind in _SENSORS or (kind == _MOVING and document.get("model_id") in _ROOM_SENSORS)
        )
        advertised = {} if is_sensor else self._advertised(document)
        if advertised is None:
            raise FrameRefused("personal", "the advertisement is none of a known sensor's, so perhaps a person's")
        values = document | advertised
        name = str(document.get("name", "")).lower()
        return self._table.read(_readable(values, name), None)

    def _advertised(self, document: dict[str, Any]) -> Values | None:
        """The values of an advertisement that the gateway did not decode; None where it is in no format known here."""
        if "type" in document:
            return None
        service = str(document.get("servicedatauuid", "")).lower().removeprefix("0x") or self._service
        if "servicedata" in document and service in _SERVICES:
            return _SERVICES[service](_bytes(document["servicedata"]))
        if "manufacturerdata" in document and self._manufacturer is not None:
            return self._manufacturer(_bytes(document["manufacturerdata"]))
        return None


def _check_topic(topic: str, document: dict[str, Any]) -> None:
    """Refuse a message of another device than its topic names: each sensor is on the list by its own."""
    path, _, address = topic.rpartition("/")
    if topic and not path.endswith(_BRANCH):
        raise FrameRefused("topic", "the topic is none of a gateway's for Bluetooth")
    stated = document.get("id", document.get("mac"))
    if isinstance(stated, str) and _ADDRESS.fullmatch(address) and stated.replace(":", "").upper() != address:
        raise FrameRefused("unexpected", "the message is of another device than its topic")


def _readable(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The values without what is never read, and without what a meter of water or gas counts."""
    kept = {key: value for key, value in values.items() if key not in _UNREAD}
    if "tempc" in kept:
        kept.pop("tempf", None)
    is_electric = name not in ("water", "gas")
    for key, unit in (("avg", _KILOWATTS), ("sum", _KILOWATT_HOURS)):
        if not is_electric or kept.get(f"{key}u", unit) != unit:
            kept.pop(key, None)
    return kept


def _bytes(text: object) -> bytes:
    """Bytes as the gateway writes them; an address that was made unreadable is passed over. Raises `FrameRefused`."""
    if isinstance(text, str) and len(text) <= _LONGEST_HEX:
        try:
            return bytes.fromhex(re.sub("[xX]", "0", text))
        except ValueError:
            pass
    raise FrameRefused("malformed", "the advertisement's data are no hexadecimal")
