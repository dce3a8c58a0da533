"""As many open files as there may be connections: Linux gives a process 1,024 unless it asks for more."""

from __future__ import annotations

import logging
import resource
from typing import Final

_log = logging.getLogger(__name__)

_BESIDES: Final = 256
"""What a process has open that is no device's connection: store, uplink, serial lines, libraries."""


def make_room(connections: int) -> None:
    """Raise this process's soft limit of open files, as far as the hard one lets; say so where that is too little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _BESIDES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, reachable), hard))
    if reachable < wanted:
        _log.warning(
            "the system allows %d open files, too few for max_connections = %d: later devices will have to wait; "
            "raise LimitNOFILE of the service, or lower max_connections",
            hard,
            connections,
        )
