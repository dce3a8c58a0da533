"""Files that the command writes, on a disk that has no room for them."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

import pytest

from bansui.files import FileExists, replace_file, write_new, writing
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = "a line of the file\n" * 1000


@contextlib.contextmanager
def little_room() -> Iterator[None]:
    """No file may become longer than a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_new_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """Else the next try would find the half of it, and take it for somebody's."""
    path = tmp_path / "agent.toml"
    with little_room(), pytest.raises(EnvironmentFault, match="cannot be written"):
        write_new(path, TEXT)
    assert list(tmp_path.iterdir()) == []
    write_new(path, TEXT, mode=0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (TEXT, 0o600)
    with pytest.raises(FileExists):
        write_new(path, "")
    assert path.read_text() == TEXT


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """What was there stays, with its mode, and nothing else beside it."""
    path = tmp_path / "agent.toml"
    write_new(path, "before", mode=0o640)
    with little_room(), pytest.raises(EnvironmentFault, match="cannot be written"):
        replace_file(path, TEXT)
    assert path.read_text() == "before"
    replace_file(path, TEXT)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (TEXT, 0o640)
    with little_room(), pytest.raises(EnvironmentFault), writing(path) as unfinished:
        unfinished.write_text(TEXT)
    assert [each.name for each in tmp_path.iterdir()] == ["agent.toml"]
