"""The power cuts do cut: an inbox whose commits are not synced loses what it acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.power_cut_inbox import bring_up_to_date, cuts, live
from tests.faults.vfs import PowerVFS, registered

if TYPE_CHECKING:
    from pathlib import Path


def test_the_control_loses(tmp_path: Path) -> None:
    """The same batches, the same cuts, and an inbox that does not wait for the disk."""
    with registered(PowerVFS("power-inbox")) as vfs:
        sent = live(tmp_path / "state", vfs, "NORMAL")
        assert cuts(vfs.steps, sent, tmp_path, 30).lost > 5


def test_an_earlier_inbox_is_brought_up_to_date(tmp_path: Path) -> None:
    """In one transaction, with everything in it."""
    with registered(PowerVFS("power-inbox")) as vfs:
        sent = bring_up_to_date(tmp_path / "state", vfs)
        found = cuts(vfs.steps, sent, tmp_path, 1)
    assert (found.lost, found.broken) == (0, ())
