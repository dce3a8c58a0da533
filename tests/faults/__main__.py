"""`python -m tests.faults [--long | --count N] [--write] [NAME ...]`: fault campaigns, all or those named.

Without --long or --count each runs in its short version. --write puts the row of each that ran into the table of
docs/reliability.md as soon as it is done, and leaves the others. Exit code 1 when a promise was broken.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.documents import ROOT
from tests.faults.campaign import campaigns
from tests.support.attempts import read_attempts
from tests.support.figures import Figures, measured
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from tests.faults.campaign import Campaign, Outcome

DOCUMENT: Final = ROOT / "docs" / "reliability.md"
FIGURES: Final = Figures(
    "`make soak`",
    ("fault", "tried:", "lost:", "doubled:", "other promises broken", "seen", "measured", "command"),
)


def main(arguments: list[str]) -> int:
    """Run, print one line a campaign, and write the table if asked to."""
    found = {campaign.name: campaign for campaign in campaigns()}
    asked = read_attempts(arguments, "tests.faults", found, target="soak", documents="docs/reliability.md")
    holds = True
    for name in asked.names:
        campaign = found[name]
        started = time.monotonic()
        with memory_folder(f"faults-{name}-") as folder:
            outcome = campaign.run(asked.times(campaign), Path(folder))
        seconds = time.monotonic() - started
        print(f"{name}: {outcome.tried} tried, {outcome.lost} lost, {outcome.doubled} doubled; {outcome.seen}")
        print("".join(f"  broken: {sentence}\n" for sentence in outcome.broken), end="", flush=True)
        holds = holds and outcome.holds
        if asked.is_written:
            FIGURES.put(DOCUMENT, name, _cells(campaign, outcome, seconds, asked.command(name)), list(found))
    return 0 if holds else 1


def _cells(campaign: Campaign, outcome: Outcome, seconds: float, command: str) -> tuple[str, ...]:
    return (
        campaign.fault,
        f"{outcome.tried:,}",
        f"{outcome.lost:,}",
        f"{outcome.doubled:,}",
        "; ".join(outcome.broken) or "none",
        outcome.seen,
        measured(seconds),
        command,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
