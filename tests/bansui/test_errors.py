"""The error tree over all rooms: who has to act is clear from the class, what happened from the code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bansui import failures
from tests.errors import BRANCHES, every_error

if TYPE_CHECKING:
    from telemetry import BansuiError


@pytest.mark.parametrize("error", every_error(), ids=lambda error: f"{error.__module__}.{error.__name__}")
def test_every_error_has_a_branch_a_code_and_a_meaning(error: type[BansuiError]) -> None:
    """Whoever catches a branch catches all of it; a code in a log is a word; the class says what it means."""
    assert sum(issubclass(error, branch) for branch in BRANCHES) == 1
    assert re.fullmatch(r"[a-z][a-z0-9_]*", error.code)
    assert error.__doc__


def test_one_code_has_one_exit_code() -> None:
    """Where two rooms have an error of one code, a script may treat them alike."""
    seen: dict[str, int] = {}
    for error in every_error():
        code = failures.exit_code([error.__new__(error)])
        assert seen.setdefault(error.code, code) == code in (1, 2, 3)
