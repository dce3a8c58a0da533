"""Serial lines: pseudo-terminals, of which an agent opens the far end as a serial port."""

from __future__ import annotations

import array
import fcntl
import itertools
import os
import termios
import tty
from typing import Final

from telemetry import EnvironmentFault

_MOST_UNREAD: Final = 128


class NoPseudoTerminal(EnvironmentFault):
    """The machine has no pseudo-terminal to give."""

    code = "no_pty"


class SerialLine:
    """A pseudo-terminal whose far end an agent opens as a serial port.

    Bytes that nobody reads are lost, as on a real line: when more than a few frames lie unread, they go. While it is
    pulled out its far end is held open, so that the system gives its name to nobody else.
    """

    def __init__(self) -> None:
        self._near, self._far = _opened()
        self.port = os.ttyname(self._far)

    def pull_out(self) -> None:
        """Take the port away from whoever has it open; its name stays ours. Harmless when that is done."""
        if self._near >= 0:
            os.close(self._near)
        self._near = -1

    def plug(self) -> bool:
        """Put it back under the name it had; whether that name was free. Harmless when it is not pulled out."""
        if self._near >= 0:
            return True
        self.close()
        others: list[tuple[int, int]] = []
        try:
            while True:
                near, far = _opened()  # the system gives the lowest number that is free
                if _number(os.ttyname(far)) == _number(self.port):
                    self._near, self._far = near, far
                    return True
                others.append((near, far))
                if _number(os.ttyname(far)) > _number(self.port):
                    return False
        finally:
            for descriptor in itertools.chain.from_iterable(others):
                os.close(descriptor)

    @property
    def near(self) -> int:
        """The descriptor of the devices' end; -1 when it is closed."""
        return self._near

    def write(self, data: bytes) -> bool:
        """Put a frame on the line; false when the line could not take it, or is pulled out."""
        if self._near < 0:
            return False
        unread = array.array("i", [0])
        fcntl.ioctl(self._far, termios.FIONREAD, unread)
        if unread[0] > _MOST_UNREAD:
            termios.tcflush(self._far, termios.TCIFLUSH)
        try:
            return os.write(self._near, data) == len(data)
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Pull it out, and give the pseudo-terminal back; harmless when that is done."""
        self.pull_out()
        if self._far >= 0:
            os.close(self._far)
        self._far = -1


def _number(port: str) -> int:
    return int(port.rpartition("/")[2])


def _opened() -> tuple[int, int]:
    try:
        near, far = os.openpty()
    except OSError as error:
        raise NoPseudoTerminal(
            f"no pseudo-terminal could be opened: {error}",
            why="some devices of a scenario speak over serial lines",
            fix="mount /dev/pts, or raise kernel.pty.max",
        ) from None
    tty.setraw(far)
    os.set_blocking(near, False)
    return near, far
