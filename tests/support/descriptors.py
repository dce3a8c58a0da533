"""A process that has very many files open, as an agent has with a thousand devices."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SELECTABLE: Final = 1024
"""Descriptors that select(2) knows: FD_SETSIZE."""


@contextlib.contextmanager
def crowded() -> Iterator[None]:
    """Whatever is opened while the block runs has a descriptor that select(2) does not know."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * SELECTABLE)), hard))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while taken[-1] < SELECTABLE - 1:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
