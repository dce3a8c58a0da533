"""The port that the centre listens on."""

from __future__ import annotations

import errno
import socket

from telemetry import EnvironmentFault


class PortTaken(EnvironmentFault):
    """Somebody else listens where the centre should."""

    code = "port_taken"


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises `PortTaken`, `EnvironmentFault`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # two may bind one port while neither listens
    except OSError as error:
        listener.close()
        where = f"{host}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} is taken",
                where=where,
                fix=f"`ss -ltnp 'sport = :{port}'` says who has it: stop that, or choose another port",
            ) from None
        raise EnvironmentFault(f"cannot listen: {error.strerror}", where=where, fix="mend [centre] host") from None
    return listener
