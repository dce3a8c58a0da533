"""The disk's errors do hit: without what the store does about them, stores are damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.store import log_file
from tests.faults import disk_errors
from tests.faults.failing_disk import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_log_that_is_not_written_again_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an fsync that failed, and a power cut, what was built on it stands behind a hole."""
    monkeypatch.setattr(log_file, "rewrite", lambda log, vfs: None)
    monkeypatch.setattr(disk_errors, "FAULTS", {"EIO at a sync": FAULTS["EIO at a sync"]})
    assert disk_errors.run(60, tmp_path).broken
