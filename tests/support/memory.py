"""Folders in memory where there are any: every commit is synced, and a disk would make the tests wait for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
_ENOUGH: Final = 1 << 30
"""Bytes: a container may give it 64 MiB, which the larger tests fill."""


def memory_folder(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A folder of its own, to be entered; gone with the block."""
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_MEMORY if _is_there() else None)


def _is_there() -> bool:
    if not os.access(_MEMORY, os.W_OK):
        return False
    found = os.statvfs(_MEMORY)
    return found.f_bavail * found.f_frsize >= _ENOUGH
