"""Made-up personal values through every inlet of an agent: none is found in what it leaves."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

from tests.privacy.canaries import canaries, forms
from tests.privacy.exposed import expose_here
from tests.privacy.leaks import NAME
from tests.privacy.scan import Scanner

if TYPE_CHECKING:
    from pathlib import Path

VALUES: Final = canaries(18, 20_251_013)
"""Two of each kind."""


def test_every_form_of_every_kind_is_found() -> None:
    """The scan finds each value in each form, alone, in the middle of something, and packed twice."""
    scanner = Scanner(VALUES)
    for value in VALUES:
        for _form, written in forms(value):
            around = b"..." + written + b"..."
            for data in (written, around, bytes(40) + gzip.compress(gzip.compress(around))):
                assert value in {hit.value for hit in scanner.scan({"there": data})}, (value, written)


def test_nothing_is_found_where_nothing_is() -> None:
    """Other values of the same kinds are not taken for those that are looked for."""
    others = "\n".join(canaries(500, 7)).encode()
    assert Scanner(VALUES).scan({"elsewhere": others + others.decode().encode("utf-16-le")}) == []


async def test_nothing_personal_is_left(tmp_path: Path) -> None:
    """Every value through every inlet, and none of them anywhere."""
    exposed = await expose_here(VALUES, NAME, tmp_path)
    assert Scanner([*VALUES, NAME]).scan(exposed.surfaces) == []
    assert exposed.summaries > 0
    assert len(exposed.surfaces) > 10
