"""Every fault campaign, in its short version: nothing lost, nothing doubled, every promise kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.campaign import Campaign, campaigns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _pytest.mark import ParameterSet


def _parameter(campaign: Campaign) -> ParameterSet:
    marks = [getattr(pytest.mark, campaign.needs)] if campaign.needs else []
    return pytest.param(campaign, id=campaign.name, marks=marks)


@pytest.mark.parametrize("campaign", [_parameter(campaign) for campaign in campaigns()])
@pytest.mark.timeout(600)
def test_campaign(campaign: Campaign, tmp_path: Path, tell: Callable[[str], None]) -> None:
    """The fault was injected as often as asked, and every promise held."""
    outcome = campaign.run(campaign.short, tmp_path)
    assert outcome.tried >= campaign.short
    assert (outcome.lost, outcome.doubled, outcome.broken) == (0, 0, ()), outcome.seen
    tell(f"{outcome.tried} tried, lost 0, doubled 0; {outcome.seen}")
