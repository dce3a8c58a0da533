"""Why a port cannot be listened on, in words that lead to the culprit."""

from __future__ import annotations

import errno

from telemetry import EnvironmentFault


class PortTaken(EnvironmentFault):
    """Another program listens where we should."""

    code = "port_taken"


class PortUnavailable(EnvironmentFault):
    """An address or port that this machine does not offer us."""

    code = "port_unavailable"


def bind_fault(host: str, port: int, error: OSError) -> EnvironmentFault:
    """The error to raise for what the system said."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} is taken by another program",
            where=where,
            why="devices would reach that program and not this one",
            fix=f"see which one with `ss -ltnp 'sport = :{port}'`, then stop it or choose another port",
        )
    return PortUnavailable(
        f"cannot listen there: {error.strerror or error}",
        where=where,
        why="devices could not connect",
        fix="choose an address of this machine, and a port from 1024 upwards",
    )
