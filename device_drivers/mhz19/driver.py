"""Winsen MH-Z19B and MH-Z19C: CO2 by infrared absorption, nine bytes each way, 9600 8N1.

Source: Winsen, "MH-Z19B User's Manual" V1.7 and "MH-Z19C User's Manual" V1.0, section "UART"; the temperature in byte 4
is in neither, and as drivers have found it: revspace.nl, "MH-Z19B". The driver reads; it never calibrates, sets a range
or switches the automatic baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_drivers.contract import Connection, Settings

READ_CO2: Final = bytes.fromhex("ff0186000000000079")
_HEADER: Final = b"\xff\x86"
_LENGTH: Final = 9
_DEGREES_BELOW: Final = 40
"""Byte 4 counts degrees from -40; a sensor that tells no temperature leaves it zero."""


def create(settings: Settings) -> MhZ19:  # noqa: ARG001 - the contract's signature; both models answer alike
    """The driver for one sensor."""
    return MhZ19()


class MhZ19:
    """Asks a sensor for its CO2, and understands the answer."""

    def decode(self, frame: Frame) -> Decoded:
        """Understand one answer. Raises `FrameRefused`."""
        payload = frame.payload
        if len(payload) != _LENGTH:
            raise FrameRefused("length", f"the answer is {len(payload)} bytes long, not {_LENGTH}")
        if not payload.startswith(_HEADER):
            raise FrameRefused("header", "the answer is not one to the question for CO2")
        if -sum(payload[1:8]) & 0xFF != payload[8]:
            raise FrameRefused("checksum", "the answer's check byte is not that of its bytes")
        carbon_dioxide = int.from_bytes(payload[2:4], "big")
        if not carbon_dioxide:
            raise FrameRefused("warming_up", "no CO2 at all: the sensor has not measured yet")
        measurements = [Measurement("carbon_dioxide", float(carbon_dioxide))]
        if payload[4]:
            measurements.append(Measurement("device_temperature", float(payload[4] - _DEGREES_BELOW)))
        return Decoded.of(measurements)

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask once. Raises `DeviceFault`."""
        await connection.write(READ_CO2)
        yield Frame(await connection.read_exactly(_LENGTH), request=READ_CO2)
