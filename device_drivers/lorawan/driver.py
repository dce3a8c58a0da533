"""LoRaWAN sensors: an envelope of the network server, and in it the few bytes that the sensor sent.

The configured model picks the codec of those bytes: bytes alone do not tell what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, FrameRefused
from device_drivers.json_table import parse_object
from device_drivers.lorawan import chirpstack, things_stack
from device_drivers.lorawan.milesight_am import MilesightAm
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.contract import Frame, Settings
    from device_drivers.lorawan.uplink import Uplink

UNLISTED: Final = "unlisted"
"""The model of a sensor whose bytes nobody here understands: link and battery are read, its bytes are dropped."""
PORT_OPTION: Final = "f_port"
_MAC_PORT: Final = 0
"""LoRaWAN L2 1.0.4 section 4.3.2: a frame on port 0 holds commands of the network, and no data of the application."""


def create(settings: Settings) -> Lorawan:
    """The driver for one sensor, by its model."""
    if settings.model == UNLISTED:
        return Lorawan(lambda _payload: Decoded((), ("data",)), None)
    port = settings.options.get(PORT_OPTION, MilesightAm.PORT)
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 223:
        raise ConfigurationError(f"{PORT_OPTION} is {port!r}", fix="write the sensor's application port, 1 to 223")
    return Lorawan(MilesightAm(settings.model).decode, port)


class Lorawan:
    """Opens the envelope and hands the sensor's bytes to its codec."""

    def __init__(self, codec: Callable[[bytes], Decoded], port: int | None) -> None:
        """`port` is the one that the codec understands; None for one that takes any."""
        self._codec = codec
        self._port = port

    def decode(self, frame: Frame) -> Decoded:
        """Understand one event of the network server, or a sensor's bytes alone. Raises `FrameRefused`."""
        if not frame.topic and frame.payload[:1] != b"{":
            return self._payload(frame.payload, self._port if frame.port is None else frame.port)
        uplink = _open(frame)
        if uplink.payload is None:
            return Decoded.of(uplink.link)
        decoded = self._payload(uplink.payload, uplink.port)
        stamped = tuple(m._replace(event_ms=uplink.event_ms) for m in decoded.measurements)
        return Decoded.of(stamped + uplink.link, decoded.dropped)

    def _payload(self, payload: bytes, port: int | None) -> Decoded:
        if port == _MAC_PORT or not payload:
            return Decoded()
        if self._port is not None and port != self._port:
            raise FrameRefused("port", f"the sensor's measurements come on port {self._port}")
        return self._codec(payload)


def _open(frame: Frame) -> Uplink:
    document = parse_object(frame.payload)
    if things_stack.is_event(document):
        return things_stack.read(document)
    if chirpstack.is_event(document):
        return chirpstack.read(document, frame.topic.rpartition("/")[2])
    raise FrameRefused("malformed", "an event of neither ChirpStack v4 nor The Things Stack v3")
