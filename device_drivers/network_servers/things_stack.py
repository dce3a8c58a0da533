"""Events of The Things Stack v3, on `v3/<application>@<tenant>/devices/<device>/<event>`.

Source: thethingsindustries.com/docs, "MQTT Server" and "Data Formats". What the storage integration and the webhooks
give again is the same object, in the former's case wrapped as `result`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import FrameRefused
from device_drivers.network_servers.uplink import Uplink, read_bytes, read_port, read_time, strongest

if TYPE_CHECKING:
    from collections.abc import Mapping

_UPLINK: Final = "uplink_message"
_MARKS: Final = (_UPLINK, "end_device_ids")


def is_event(document: Mapping[str, Any]) -> bool:
    """Whether the object is an event of The Things Stack v3."""
    return any(mark in _unwrapped(document) for mark in _MARKS)


def read(document: Mapping[str, Any]) -> Uplink:
    """What an event brings: an uplink its frame, every other (join, downlink) nothing. Raises `FrameRefused`."""
    event = _unwrapped(document)
    uplink = event.get(_UPLINK)
    if uplink is None:
        return Uplink()
    if not isinstance(uplink, dict):
        raise FrameRefused("malformed", "the uplink is not a JSON object")
    if event.get("simulated") or uplink.get("simulated"):
        raise FrameRefused("simulated", "an uplink that somebody made up in the console")
    at_ms = read_time(uplink.get("received_at")) or read_time(event.get("received_at"))
    signal = strongest(uplink.get("rx_metadata"), at_ms)
    return Uplink(read_bytes(uplink.get("frm_payload")), read_port(uplink.get("f_port")), at_ms, signal)


def _unwrapped(document: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = document.get("result")
    return inner if isinstance(inner, dict) else document
