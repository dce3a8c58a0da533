"""The kills do take something: a centre that does not go back has less in VictoriaMetrics than it acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloud_sink.victoria_metrics import VictoriaMetrics
from tests.faults.kill_victoria import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.victoria_metrics
def test_the_control_loses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same kills, and a follower that takes every run for the one before."""

    async def started_s(_self: VictoriaMetrics) -> int:
        return 1

    monkeypatch.setattr(VictoriaMetrics, "started_s", started_s)
    assert run(2, tmp_path, patience_s=4).lost > 0
