"""A sensor behind a LoRaWAN network server: the envelope is opened, and the sensor's bytes go to the table.

LoRaWAN L2 1.0.4 section 4.3.2: a frame on port 0 holds commands of the network, and no data of the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from device_drivers.contract import Decoded, FrameRefused
from device_drivers.field_rows import Table
from device_drivers.json_table import parse_object
from device_drivers.network_servers import chirpstack, chirpstack_v3, things_stack
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.contract import Frame, Settings
    from device_drivers.network_servers.uplink import Uplink

PORT_OPTION: Final = "f_port"
HIGHEST_PORT: Final = 223
_MAC_PORT: Final = 0


class LorawanTable(Table):
    """What a table says of the way the bytes come."""

    port: Annotated[int, Field(ge=1, le=HIGHEST_PORT)] | None = None
    """The application port of the sensor's measurements; any, where the format has none of its own."""

    def port_of(self, settings: Settings) -> int | None:
        """The port of one sensor: a configuration may state another. Raises `ConfigurationError`."""
        port = settings.options.get(PORT_OPTION, self.port)
        if port is None:
            return None
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= HIGHEST_PORT:
            fix = f"write the sensor's application port, 1 to {HIGHEST_PORT}"
            raise ConfigurationError(f"option {PORT_OPTION} is {port!r}", fix=fix)
        return port


class Lorawan:
    """Opens the envelope and hands the sensor's bytes to its codec."""

    def __init__(self, codec: Callable[[bytes], Decoded] | None, port: int | None, told: frozenset[str]) -> None:
        """`told` are the quantities taken from the server itself; without a codec the bytes are dropped."""
        self._codec = codec
        self._port = port
        self._told = told

    def decode(self, frame: Frame) -> Decoded:
        """Understand one event of the network server, or a sensor's bytes alone. Raises `FrameRefused`."""
        if not frame.topic and frame.payload[:1] != b"{":
            return self._payload(frame.payload, self._port if frame.port is None else frame.port)
        uplink = _open(frame)
        link = tuple(measurement for measurement in uplink.link if measurement.quantity in self._told)
        if uplink.payload is None:
            return Decoded.of(link)
        decoded = self._payload(uplink.payload, uplink.port)
        stamped = tuple(m._replace(event_ms=uplink.event_ms) for m in decoded.measurements)
        return Decoded.of(stamped + link, decoded.dropped)

    def _payload(self, payload: bytes, port: int | None) -> Decoded:
        if port == _MAC_PORT or not payload:
            return Decoded()
        if self._codec is None:
            return Decoded((), ("data",))
        if self._port is not None and port != self._port:
            raise FrameRefused("port", f"the sensor's measurements come on port {self._port}")
        return self._codec(payload)


def _open(frame: Frame) -> Uplink:
    document = parse_object(frame.payload)
    if things_stack.is_event(document):
        return things_stack.read(document)
    if chirpstack.is_event(document):
        return chirpstack.read(document, frame.topic.rpartition("/")[2])
    if chirpstack_v3.is_event(document):
        return chirpstack_v3.read(document)
    raise FrameRefused("malformed", "an event of neither ChirpStack nor The Things Stack")
