"""`python -m tests.faults [--long | --count N] [--write] [NAME ...]`: fault campaigns, all or those named.

Without --long or --count each runs in its short version. --write puts the row of each that ran into the table of
docs/reliability.md as soon as it is done, and leaves the others. Exit code 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.documents import ROOT
from tests.faults.campaign import campaigns
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
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Fault campaigns.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--long", action="store_true", help="as often as `make soak` does")
    parser.add_argument("--count", type=int, help="so often")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < 1:
        parser.error("--count takes a number from 1")
    found = {campaign.name: campaign for campaign in campaigns()}
    unknown = sorted(set(options.names) - found.keys())
    if unknown:
        parser.error(f"no campaign is called {', '.join(unknown)}; there are: {', '.join(found)}")
    holds = True
    for name in options.names or found:
        campaign = found[name]
        started = time.monotonic()
        with memory_folder(f"faults-{name}-") as folder:
            outcome = campaign.run(options.count or (campaign.long if options.long else campaign.short), Path(folder))
        seconds = time.monotonic() - started
        print(f"{name}: {outcome.tried} tried, {outcome.lost} lost, {outcome.doubled} doubled; {outcome.seen}")
        print("".join(f"  broken: {sentence}\n" for sentence in outcome.broken), end="", flush=True)
        holds = holds and outcome.holds
        if options.write:
            how = f"--count {options.count} " if options.count else "--long " if options.long else ""
            FIGURES.put(DOCUMENT, name, _cells(campaign, outcome, seconds, how), list(found))
    return 0 if holds else 1


def _cells(campaign: Campaign, outcome: Outcome, seconds: float, how: str) -> tuple[str, ...]:
    return (
        campaign.fault,
        f"{outcome.tried:,}",
        f"{outcome.lost:,}",
        f"{outcome.doubled:,}",
        "; ".join(outcome.broken) or "none",
        outcome.seen,
        measured(seconds),
        f"`python -m tests.faults {how}{campaign.name}`",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
