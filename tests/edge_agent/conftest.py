"""Folders in memory where there are any: every commit here is synced, and a disk would make the tests wait for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY: Final = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As pytest's own, gone after the test."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="bansui-test-", dir=parent) as folder:
        yield Path(folder)
