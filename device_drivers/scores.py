"""What became of recorded frames, family by family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from device_drivers.cases import CaseResult

NO_DRIVER: Final = frozenset({"unknown_driver", "configuration", "driver_manifest", "driver_unusable"})
"""Codes of a case that no driver took: of its family, or of its model."""


@dataclass(frozen=True, slots=True)
class Score:
    """How many cases of one family there were, and what became of them."""

    family: str
    cases: int = 0
    decoded: int = 0
    """Taken by a driver, with or without readings."""
    refused: int = 0
    """Refused by a driver, as what is broken or personal has to be."""
    no_driver: int = 0
    expecting: int = 0
    """Cases that say what must come out."""
    as_expected: int = 0

    def with_one(self, result: CaseResult) -> Score:
        """The score with another case of the family."""
        code = result.error[0] if result.error is not None else ""
        return replace(
            self,
            cases=self.cases + 1,
            decoded=self.decoded + (not code),
            refused=self.refused + (bool(code) and code not in NO_DRIVER),
            no_driver=self.no_driver + (code in NO_DRIVER),
            expecting=self.expecting + (result.as_expected is not None),
            as_expected=self.as_expected + (result.as_expected is True),
        )


def tally(results: Iterable[CaseResult]) -> list[Score]:
    """The score of every family, in alphabetical order; lines that name none have an empty one."""
    scores: dict[str, Score] = {}
    for result in results:
        scores[result.family] = scores.get(result.family, Score(result.family)).with_one(result)
    return [scores[family] for family in sorted(scores)]
