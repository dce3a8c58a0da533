"""How long the core waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long the core waits for what."""

    group_commit_s: float = 0.1
    checkpoint_s: float = 60
    checkpoint_values: int = 500_000
    """Journalled values after which a checkpoint is due whatever the time: 16 MiB."""
    lateness_ms: int = 120_000
    close_every_s: float = 0.2
    batch_every_s: float = 60
    backlog_every_s: float = 0.5
    """Between batches while more waits than one holds, on average: a backlog leaves the line free for others."""
    report_every_s: float = 300
    retry_s: float = 2
    ledger_ms: int = 180 * 86_400_000
