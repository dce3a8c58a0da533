"""A meter that publishes its power as bare text; written against the contract alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_drivers.contract import Decoded, FrameRefused, Measurement

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings


def create(settings: Settings) -> Meter:
    """The driver for one meter."""
    return Meter()


class Meter:
    """Reads one number."""

    def decode(self, frame: Frame) -> Decoded:
        """Understand one message. Raises `FrameRefused`."""
        try:
            return Decoded.of([Measurement("power", float(frame.payload))])
        except ValueError:
            raise FrameRefused("malformed", "the message is not a number") from None
