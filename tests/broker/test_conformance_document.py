"""docs/mqtt-conformance.md has every normative statement of both standards, and names no test that is not there."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.documents import ROOT

DOCUMENT: Final = ROOT / "docs/mqtt-conformance.md"
# How many statements each section has (appendix B of both standards), and where their numbers do not begin with 1.
STATEMENTS_3_1_1: Final = (
    "1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2 "
    "3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 "
    "4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1"
)
STATEMENTS_5: Final = (
    "1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:2-6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13 "
    "3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 "
    "3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 "
    "4.2.0:1 4.3.1:1 4.3.2:5 4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 "
    "4.12.0:7 4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4"
)


def numbers(statements: str) -> list[str]:
    found = []
    for part in statements.split():
        section, _, last = part.partition(":")
        begin, _, end = last.rpartition("-")
        found += [f"{section}-{number}" for number in range(int(begin or 1), int(end) + 1)]
    return found


def rows(chapter: str) -> list[tuple[str, str, str]]:
    part = DOCUMENT.read_text().partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| ([0-9.]+-[0-9]+) \| (.+?) \| (.+?) \|$", part, re.MULTILINE)


@pytest.mark.parametrize(("chapter", "statements"), [("MQTT 3.1.1", STATEMENTS_3_1_1), ("MQTT 5.0", STATEMENTS_5)])
def test_every_statement_is_in_the_document_once(chapter: str, statements: str) -> None:
    assert [number for number, _, _ in rows(chapter)] == numbers(statements)


@pytest.mark.parametrize("chapter", ["MQTT 3.1.1", "MQTT 5.0"])
def test_every_statement_has_a_test_that_exists_or_a_reason(chapter: str) -> None:
    for number, _, held in rows(chapter):
        if held.startswith("not owed: "):
            continue
        named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", held)
        assert named, number
        assert re.sub(r"`[^`]+`|, ", "", held) == "", number
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{number}: {file}::{test}"


def test_every_statement_that_the_code_cites_is_one() -> None:
    known = {*numbers(STATEMENTS_3_1_1), *numbers(STATEMENTS_5)}
    cited = {
        number
        for file in (ROOT / "broker").glob("*.py")
        for number in re.findall(r"MQTT-([0-9.]+-[0-9]+)", file.read_text())
    }
    assert cited <= known
    assert len(cited) > 20
