"""`python -m tests.faults [--long | --count N] [--write] [NAME ...]`: fault campaigns, all or those named.

Without --long or --count each runs in its short version. --write puts the row of each that ran into the table of
docs/reliability.md as soon as it is done, and leaves the others. Exit code 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.documents import ROOT
from tests.faults.campaign import campaigns
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.campaign import Campaign, Outcome

DOCUMENT: Final = ROOT / "docs" / "reliability.md"
_PART: Final = re.compile(r"(<!-- figures: written by `make soak` -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)
_ROW: Final = re.compile(r"^\| .* (\S+)` \|\n", re.MULTILINE)
_HEAD: Final = (
    "| fault | tried | lost | doubled | other promises broken | seen | measured | command |\n"
    "|---|---:|---:|---:|---|---|---|---|\n"
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
            row = _row(campaign, outcome, seconds, how)
            DOCUMENT.write_text(with_row(DOCUMENT.read_text(), name, row, list(found)))
    return 0 if holds else 1


def with_row(document: str, name: str, row: str, order: Sequence[str]) -> str:
    """The document with this row of this campaign, and the rows it had of the others in `order`."""

    def table(match: re.Match[str]) -> str:
        kept = {row[1]: row[0] for row in _ROW.finditer(match[2])} | {name: row}
        lines = "".join(kept[name] for name in order if name in kept)
        return f"{match[1]}\n{_HEAD}{lines}\n{match[3]}"

    return _PART.sub(table, document)


def _row(campaign: Campaign, outcome: Outcome, seconds: float, how: str) -> str:
    command = f"`python -m tests.faults {how}{campaign.name}`"
    machine = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}"
    cells = (
        campaign.fault,
        f"{outcome.tried:,}",
        f"{outcome.lost:,}",
        f"{outcome.doubled:,}",
        "; ".join(outcome.broken) or "none",
        outcome.seen,
        f"{seconds:,.0f} s, {machine}",
        command,
    )
    text = "".join(each if each.isprintable() else "?" for each in " | ".join(cells))
    return f"| {text} |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
