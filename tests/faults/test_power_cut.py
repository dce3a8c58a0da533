"""The power cuts do cut: with commits that are not synced, they lose what was acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.power_cut import bring_up_to_date, cuts, live
from tests.faults.vfs import PowerVFS, registered

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_control_loses(tmp_path: Path, synchronous: str) -> None:
    """The same life, the same cuts, and a store that does not wait for the disk."""
    with registered(PowerVFS("power")) as vfs:
        live(tmp_path / "state", vfs, synchronous)
        assert cuts(vfs.steps, tmp_path, range(30)).lost > 5


def test_an_earlier_store_is_brought_up_to_date(tmp_path: Path) -> None:
    """Migrated in one transaction, with everything in it."""
    with registered(PowerVFS("power")) as vfs:
        bring_up_to_date(tmp_path / "state", vfs)
        found = cuts(vfs.steps, tmp_path, range(1))
    assert (found.lost, found.broken) == (0, ())
