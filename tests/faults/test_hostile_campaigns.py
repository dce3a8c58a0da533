"""Fault campaigns of processes that are killed and of peers that mean harm, in their short version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.test_campaigns import hold, parameters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.campaign import Campaign


@pytest.mark.parametrize("campaign", parameters(elsewhere=True))
@pytest.mark.timeout(600)
def test_campaign(campaign: Campaign, tmp_path: Path, tell: Callable[[str], None]) -> None:
    """Nothing lost, nothing doubled."""
    hold(campaign, tmp_path, tell)
