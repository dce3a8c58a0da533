"""Kills its own process (SIGKILL, no clean-up) at one named boundary of a durable path."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Executioner:
    """Kills this process when its boundary is reached for the nth time."""

    def __init__(self, boundary: str, nth: int, hits: Path) -> None:
        self._boundary = boundary
        self._left = nth
        self._hits = hits

    @contextmanager
    def around(self, step: str) -> Iterator[None]:
        """The two boundaries of one step."""
        self._reached(f"before:{step}")
        yield
        self._reached(f"after:{step}")

    def _reached(self, boundary: str) -> None:
        if boundary != self._boundary:
            return
        self._left -= 1
        if not self._left:
            with self._hits.open("a") as file:
                file.write(f"{boundary}\n")
            os.kill(os.getpid(), signal.SIGKILL)
