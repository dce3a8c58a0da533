"""Mistakes in files, for whoever writes them: in the words of TOML, not of Python, with what would do."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

import pytest
from pydantic import Field

from telemetry.table_file import ConfigurationMistakes, Table, read_tables

if TYPE_CHECKING:
    from pathlib import Path


class _Line(Table):
    baud: int = 9600


class _File(Table):
    name: str = "a"
    topics: tuple[str, ...] = Field(default=(), min_length=1, max_length=2)
    word: str = Field(default="abc", min_length=2, max_length=4, pattern="^[a-z]*$")
    step: int = Field(default=4, multiple_of=4)
    fitted: dt.date | None = None
    share: float = Field(default=0.5, gt=0, lt=1)
    loud: bool = False
    colour: Literal["red", "green"] = "red"
    line: _Line | None = None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 3", "name: text is wanted, in quotes (found 3)"),
        ('topics = "a/#"', "topics: a list is wanted, in [ ] (found 'a/#')"),
        ("topics = []", "topics: too few: at least 1"),
        ('topics = ["a", "b", "c"]', "topics: too many: at most 2"),
        ('word = "a"', "word: too short: at least 2 (found 'a')"),
        ('word = "abcde"', "word: too long: at most 4 characters (found 'abcde')"),
        ('word = "AB"', "word: has to be written as the pattern ^[a-z]*$ (found 'AB')"),
        ("step = 3", "step: has to be a multiple of 4 (found 3)"),
        ("share = inf", "share: has to be less than 1 (found inf)"),
        ('fitted = "yesterday"', "fitted: a date is wanted, written 2026-11-30 without quotes (found 'yesterday')"),
        ('share = "much"', "share: a number is wanted (found 'much')"),
        ("share = 1", "share: has to be less than 1 (found 1)"),
        ("share = 0", "share: has to be more than 0 (found 0)"),
        ('loud = "very"', "loud: true or false is wanted (found 'very')"),
        (
            'colour = "gren"',
            "colour: not one of the choices (found 'gren'); did you mean 'green'? (allowed: green, red)",
        ),
        ('line = "/dev/ttyUSB0"', "line: a table is wanted (found '/dev/ttyUSB0')"),
        ("line = { baud = 9600.5 }", "line.baud: a whole number is wanted (found 9600.5)"),
        ("line = { bawd = 9600 }", "line.bawd: no such key; did you mean 'baud'? (allowed: baud)"),
    ],
)
def test_a_mistake_is_told_in_plain_words(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationMistakes) as caught:
        read_tables(path, _File, "a check")
    assert [str(mistake) for mistake in caught.value.mistakes] == [f"line 1: {said}"]
