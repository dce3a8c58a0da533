"""Events of ChirpStack v3, on `application/<id>/device/<devEUI>/event/<event>`, or without `event` in older ones.

Source: chirpstack-api 3.12, `as/integration/integration.proto` (MIT), written by both of its marshalers, `json` and
`json_v3`. Gateways with a network server of their own publish the same object on topics of any name, so an event is
known by what it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from device_drivers.network_servers.uplink import Uplink, battery, read_bytes, read_port, read_time, strongest

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS: Final = ("applicationID", "devEUI")
_ONLY_IN_UP: Final = ("data", "fPort")


def is_event(document: Mapping[str, Any]) -> bool:
    """Whether the object is an event of ChirpStack v3."""
    return any(mark in document for mark in _MARKS)


def read(document: Mapping[str, Any]) -> Uplink:
    """What an event brings: an uplink a frame, a status the battery, every other nothing. Raises `FrameRefused`."""
    receptions = document.get("rxInfo")
    at_ms = read_time(document.get("publishedAt")) or read_time(document.get("time")) or _heard(receptions)
    if any(key in document for key in _ONLY_IN_UP):
        return Uplink(
            read_bytes(document.get("data")), read_port(document.get("fPort")), at_ms, strongest(receptions, at_ms)
        )
    if document.get("batteryLevelUnavailable") or document.get("externalPowerSource"):
        return Uplink()
    return Uplink(link=battery(document.get("batteryLevel"), at_ms))


def _heard(receptions: object) -> int | None:
    """The first time a gateway states, of those that know it."""
    entries = receptions if isinstance(receptions, list) else []
    times = (read_time(entry.get("time")) for entry in entries if isinstance(entry, dict))
    return next((time for time in times if time is not None), None)
