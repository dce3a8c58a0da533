"""How much the store may take, by configuration and by its disk, and how long that lasts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_agent.admission import Binding
    from edge_agent.config_file import LoadedConfiguration

BYTES_A_SUMMARY: Final = 200
"""What a stored summary takes on disk, lines and index together; measured on a day of `school-day`."""
SMALLEST: Final = 32 << 20
"""Bytes that a store takes besides the summaries: its journal, counters and the ledger's hashes."""
MOST_RESERVED: Final = 64 << 20
"""Bytes of the disk that are left to others; on a small disk a twentieth."""
_FOREVER_MINUTES: Final = 10 * 366 * 24 * 60


@dataclass(frozen=True, slots=True)
class Room:
    """How much the store may take."""

    limit_bytes: int | None
    """By configuration; None for all that the disk has."""
    free_bytes: Callable[[], int]
    """Left on the store's disk."""

    def bytes_for(self, used_bytes: int) -> int:
        """How large a store that now uses so much may become."""
        whole = used_bytes + self.free_bytes()
        ours = max(1, whole - min(MOST_RESERVED, whole // 20))
        return ours if self.limit_bytes is None else max(1, min(ours, self.limit_bytes))

    def minutes(self, used_bytes: int, summaries_an_hour: float) -> int:
        """How much longer a store that now uses so much could take summaries at this rate."""
        left = max(0, self.bytes_for(used_bytes) - used_bytes)
        return min(int(left / BYTES_A_SUMMARY / max(summaries_an_hour, 1e-9) * 60), _FOREVER_MINUTES)


def room_of(loaded: LoadedConfiguration, bindings: Mapping[str, Binding], folder: Path) -> Room:
    """The room that a configuration gives the store in `folder`."""
    table = loaded.tables.store
    an_hour = sum(binding.summaries_an_hour for binding in bindings.values())
    by_hours = None if table.buffer_hours is None else SMALLEST + int(table.buffer_hours * an_hour * BYTES_A_SUMMARY)
    by_size = None if table.buffer_mib is None else table.buffer_mib << 20
    limit = min((limit for limit in (by_hours, by_size) if limit is not None), default=None)
    return Room(limit, lambda: _free_bytes(folder))


def _free_bytes(folder: Path) -> int:
    stats = os.statvfs(folder)
    return stats.f_bavail * stats.f_frsize
