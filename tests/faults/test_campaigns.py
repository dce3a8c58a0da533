"""Fault campaigns of disks, clocks, devices and lives, in their short version: every promise kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.campaign import Campaign, campaigns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _pytest.mark import ParameterSet

ELSEWHERE = ("kill", "hostile")
"""How the names of campaigns begin that stand in a file of their own: files run at once."""


def parameters(*, elsewhere: bool) -> list[ParameterSet]:
    """The campaigns of one of the two files."""
    chosen = [each for each in campaigns() if each.name.startswith(ELSEWHERE) == elsewhere]
    return [
        pytest.param(each, id=each.name, marks=[getattr(pytest.mark, each.needs)] if each.needs else [])
        for each in chosen
    ]


def hold(campaign: Campaign, folder: Path, tell: Callable[[str], None]) -> None:
    """Assert that the fault was injected as often as asked, and every promise held."""
    outcome = campaign.run(campaign.short, folder)
    assert outcome.tried >= campaign.short
    assert (outcome.lost, outcome.doubled, outcome.broken) == (0, 0, ()), outcome.seen
    tell(f"{outcome.tried} tried, lost 0, doubled 0; {outcome.seen}")


@pytest.mark.parametrize("campaign", parameters(elsewhere=False))
@pytest.mark.timeout(600)
def test_campaign(campaign: Campaign, tmp_path: Path, tell: Callable[[str], None]) -> None:
    """Nothing lost, nothing doubled."""
    hold(campaign, tmp_path, tell)
