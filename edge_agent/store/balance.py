"""The balance of a store: every reading and every summary is in exactly one place, and is counted there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.reporting import totals
from edge_agent.state import open_readings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.state import Recovered

EQUATIONS: Final = (
    ("received", ("admitted", "rejected", "duplicate")),
    ("admitted", ("summarised", "open", "late", "gap", "withheld")),
    ("summaries", ("acknowledged", "waiting", "merged", "fork", "refused", "damaged")),
)
"""What came into a stage, and where it is now: a sum of the others."""
STAGES: Final = tuple(dict.fromkeys(stage for left, right in EQUATIONS for stage in (left, *right)))


def balance_of(recovered: Recovered) -> dict[str, int]:
    """Readings and summaries by stage."""
    sums = dict.fromkeys(STAGES, 0) | totals(recovered.counts)
    sums["open"] = open_readings_of(recovered.checkpoint, recovered.journal, recovered.closed_until_ms)
    sums["waiting"] = recovered.waiting + sum(batch.summaries for batch in recovered.unacknowledged)
    return {stage: sums[stage] for stage in STAGES}


def imbalances(balance: Mapping[str, int]) -> list[str]:
    """The equations that do not close, in words."""
    faults = []
    for left, right in EQUATIONS:
        total = sum(balance[name] for name in right)
        if balance[left] != total:
            faults.append(f"{left} {balance[left]} is not {' + '.join(right)}, which is {total}")
    return faults
