"""What an agent in this process says in its log."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Said(logging.Handler):
    """Its lines, as they come."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Part of logging.Handler."""
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def listening(name: str) -> Iterator[Said]:
    """Hear what a logger of this name says, from INFO upwards, while the block runs."""
    said, logger = Said(), logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(said)
    try:
        yield said
    finally:
        logger.removeHandler(said)
        logger.setLevel(level)
