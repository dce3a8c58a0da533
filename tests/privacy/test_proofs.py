"""Every proof of privacy, in its short version: the claim holds, and the control is caught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.privacy.proof import Proof, proofs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("proof", [pytest.param(proof, id=proof.name) for proof in proofs()])
@pytest.mark.timeout(300)
def test_proof(proof: Proof, tmp_path: Path, tell: Callable[[str], None]) -> None:
    """Attacked as often as asked."""
    result = proof.run(proof.short, tmp_path)
    assert result.tried >= proof.short
    assert result.broken == (), result.seen
    tell(f"{result.tried} tried; {result.seen}")
