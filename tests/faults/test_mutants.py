"""Seeded lives that find nothing prove something only if they find what is broken on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.mutants import MUTANTS
from tests.faults.simulate import live

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.mutants import Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_agent_is_found(mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the first of its seeds, as a rule; where lives have changed, `python -m tests.faults.mutants` names others."""
    mutant(monkeypatch)
    assert any(live((tmp_path, seed)).broken for seed in MUTANTS[mutant])
