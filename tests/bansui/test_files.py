"""What is committed: files of a readable size, no path or host of one machine, and text that is text."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from conftest import FIRST
from tests.documents import ROOT

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
SOURCES = [name for name in TRACKED if name.endswith((".py", ".js", ".css", ".html", ".toml"))]
LONGEST_FILE = 450
ABSENT = {
    "an absolute path of one machine": re.compile(rb"(?<![\w.])/(?:home|root|work|Users)/\w"),
    "a file beside the project": re.compile(rb"\.\./shared\b|\bshared/(?:corpus|design|style|look|research)"),
    "a package registry's host": re.compile(rb"registry\.npmjs|pythonhosted|pypi\.org/simple|index-url|find-links"),
    "an unfinished place": re.compile(rb"\b(?:TODO|FIXME|XXX)\b"),
    "a conflict": re.compile(rb"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE),
}
HERE = str(Path(__file__).relative_to(ROOT))


@pytest.mark.parametrize("what", ABSENT)
def test_nothing_of_one_machine_is_committed(what: str) -> None:
    """The project stands alone, on any machine."""
    ours = [name for name in TRACKED if name != HERE and "/fixtures/" not in name and not name.endswith(".png")]
    found = [name for name in ours if ABSENT[what].search(_read(name))]
    assert found == []


def test_no_file_is_too_long_to_read() -> None:
    """A file has one job; one that needs more lines has two."""
    long = {name: lines for name in SOURCES if (lines := _read(name).count(b"\n")) > LONGEST_FILE}
    assert long == {}


def test_folders_are_at_most_two_deep() -> None:
    """Every module is found in a room, or in a folder of a room."""
    assert [name for name in SOURCES if name.endswith(".py") and name.count("/") > 2] == []


def test_what_is_tested_first_is_there() -> None:
    """A file that is renamed would begin last."""
    assert set(FIRST) <= set(TRACKED)


def test_text_is_utf8_with_unix_lines() -> None:
    """Text opens anywhere, in either language."""
    for name in TRACKED:
        if name.endswith((".py", ".md", ".toml", ".js", ".css", ".html", ".json", ".jsonl", ".lock")):
            text = _read(name).decode("utf-8")
            assert "\r" not in text, name
            assert text == "" or text.endswith("\n"), name


def _read(name: str) -> bytes:
    path = ROOT / name
    return path.read_bytes() if path.is_file() else b""
