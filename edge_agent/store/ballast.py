"""A file that only takes room, so that there is some to make room with when the disk is full.

Giving up old bytes and merging summaries are writes too.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "ballast"
SIZE: Final = 8 << 20
_FREE_BEFORE_TAKING: Final = 8 * SIZE


class Ballast:
    """The file, there or given up."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def take(self) -> None:
        """Take the room where it is not taken yet and the disk has plenty."""
        stats = os.statvfs(self._path.parent)
        if self._path.exists() or stats.f_bavail * stats.f_frsize < _FREE_BEFORE_TAKING:
            return
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, SIZE)
        except OSError:  # a file system without it, or filled this very moment
            self.give_up()
        finally:
            os.close(descriptor)

    def give_up(self) -> bool:
        """Let the room go; whether there was any."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
            return True
        return False
