"""A serial port for an event loop, which says by itself when there is something to read."""

from __future__ import annotations

import os

import serial


class SerialPort(serial.Serial):  # type: ignore[misc] # pyserial has no types
    """pyserial's port, read without select(2): that would ask once more, and knows no descriptor above 1023.

    An agent that many devices connect to has such descriptors. Not for reading when nothing has come.
    """

    def __init__(self, port: str, baud: int) -> None:
        """Open it for this process alone. Raises `OSError` or ValueError."""
        super().__init__(port, baud, timeout=0, write_timeout=0, exclusive=True)

    def read(self, size: int = 1) -> bytes:
        """What has come, of which there is something. Raises `serial.SerialException` when the line is gone."""
        try:
            data = os.read(self.fd, size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise serial.SerialException(error.errno, error.strerror) from None
        if not data:
            raise serial.SerialException("there is nothing to read any more")
        return data
