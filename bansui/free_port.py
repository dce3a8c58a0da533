"""A port for a program that has to be told which: both ends of a wire may have to know it before either is there."""

from __future__ import annotations

import random
import socket
from typing import Final

_PORTS: Final = range(20_000, 32_768)
"""Below those that systems give to outgoing connections (Linux's begin at 32768): such a one may be somebody's between
the moment it was found free and the moment it is listened on."""


def free_port() -> int:
    """A loopback TCP port that was free a moment ago."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
