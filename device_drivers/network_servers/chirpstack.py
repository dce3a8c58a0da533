"""Events of ChirpStack v4, on `application/<id>/device/<devEui>/event/<event>`.

Source: chirpstack.io/docs, "Integrations", "Event types", and chirpstack-api, `integration/integration.proto` (MIT).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from device_drivers.network_servers.uplink import Uplink, battery, read_bytes, read_port, read_time, strongest

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS: Final = ("deviceInfo", "deduplicationId")
_ONLY_IN_UP: Final = ("data", "fPort", "rxInfo", "txInfo")


def is_event(document: Mapping[str, Any]) -> bool:
    """Whether the object is an event of ChirpStack v4."""
    return any(mark in document for mark in _MARKS)


def read(document: Mapping[str, Any], event: str) -> Uplink:
    """What an event brings: `up` a frame, `status` the battery, every other nothing. Raises `FrameRefused`."""
    at_ms = read_time(document.get("time"))
    if event == "up" or (not event and any(key in document for key in _ONLY_IN_UP)):
        return Uplink(
            read_bytes(document.get("data")),
            read_port(document.get("fPort")),
            at_ms,
            strongest(document.get("rxInfo"), at_ms),
        )
    if event in ("status", "") and not (document.get("batteryLevelUnavailable") or document.get("externalPowerSource")):
        return Uplink(link=battery(document.get("batteryLevel"), at_ms))
    return Uplink()
