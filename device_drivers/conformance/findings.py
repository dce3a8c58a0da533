"""What a check finds, and how it says so."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CheckFailed(AssertionError):
    """A driver is not as it has to be; the text says in what."""


class Grade(enum.IntEnum):
    """What a driver has earned."""

    NONE = 0
    BRONZE = 1
    SILVER = 2
    GOLD = 3
    PLATINUM = 4

    @property
    def word(self) -> str:
        """As it is written."""
        return self.name.lower()


class Result(enum.StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"
    """It is still to be earned; the driver works without."""
    EXEMPT = "exempt"
    NOT_FOR_IT = "not_for_it"

    @property
    def is_met(self) -> bool:
        """Whether a grade may be given on it."""
        return self not in (Result.FAILED, Result.OPEN)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one driver."""

    check: str
    grade: Grade
    result: Result
    figure: str
    """What was counted or measured, or what is wrong."""

    def as_dict(self) -> dict[str, str]:
        """As `--json` prints it."""
        return {"check": self.check, "grade": self.grade.word, "result": self.result.value, "figure": self.figure}
