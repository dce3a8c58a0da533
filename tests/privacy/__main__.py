"""`python -m tests.privacy [--long | --count N] [--write] [NAME ...]`: proofs of privacy, all or those named.

Without --long or --count each runs in its short version. --write puts the row of each that ran into the tables of
docs/privacy.md and docs/privacy.zh-CN.md. Exit code 1 when a claim did not hold, or a control was not caught.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from tests.documents import ROOT
from tests.privacy.proof import proofs
from tests.support.attempts import read_attempts
from tests.support.figures import Figures, measured
from tests.support.memory import memory_folder

_WRITTEN_BY: Final = "`make privacy-proof`"
DOCUMENTS: Final = {
    "en": (
        ROOT / "docs" / "privacy.md",
        Figures(_WRITTEN_BY, ("claim", "tried:", "holds", "seen", "measured", "command")),
    ),
    "zh": (ROOT / "docs" / "privacy.zh-CN.md", Figures(_WRITTEN_BY, ("结论", "次数:", "成立", "所见", "测得", "命令"))),
}
_HOLDS: Final = {"en": "yes", "zh": "是"}


def main(arguments: list[str]) -> int:
    """Run, print one line a proof, and write the tables if asked to."""
    found = {proof.name: proof for proof in proofs()}
    documents = "docs/privacy.md and its translation"
    asked = read_attempts(arguments, "tests.privacy", found, target="privacy-proof", documents=documents)
    hold = True
    for name in asked.names:
        proof = found[name]
        started = time.monotonic()
        with memory_folder(f"proof-{name}-") as folder:
            result = proof.run(asked.times(proof), Path(folder))
        took = measured(time.monotonic() - started)
        print(f"{name}: {result.tried:,} tried; {result.seen}")
        print("".join(f"  broken: {sentence}\n" for sentence in result.broken), end="", flush=True)
        hold = hold and not result.broken
        if asked.is_written:
            for language, (document, figures) in DOCUMENTS.items():
                claim = proof.claim_en if language == "en" else proof.claim_zh
                holds = "; ".join(result.broken) or _HOLDS[language]
                cells = (claim, f"{result.tried:,}", holds, result.seen, took, asked.command(name))
                figures.put(document, name, cells, list(found))
    return 0 if hold else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
