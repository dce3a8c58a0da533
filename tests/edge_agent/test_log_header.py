"""A write-ahead log whose header a disk has changed: what it was is told by the rest, and nothing in it is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import apsw
import pytest

from edge_agent.store import engine, log_check, log_header
from tests.edge_agent.harness import Bench

if TYPE_CHECKING:
    from pathlib import Path

SIZE = log_header.HEADER.size


@pytest.fixture(params=[512, 4096, 65_536])
def crashed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A database and its log, which has begun anew some times; their writer is gone."""
    database, log = tmp_path / engine.FILE_NAME, tmp_path / engine.LOG_NAME
    writer = apsw.Connection(str(database))
    writer.pragma("page_size", request.param)
    writer.pragma("journal_mode", "WAL")
    writer.execute("CREATE TABLE counts (number)")
    for number in range(8):
        if number < 5:
            writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        writer.execute("INSERT INTO counts VALUES (?)", (number,))
    engine.abandon(writer)
    return database, log


def test_it_checks_as_sqlite_wrote_it(crashed: tuple[Path, Path]) -> None:
    _, log = crashed
    content = log.read_bytes()
    assert log_header.checks(content)
    for at in range(SIZE):
        changed = bytearray(content)
        changed[at] ^= 16
        assert not log_header.checks(bytes(changed)), at


@pytest.mark.parametrize(
    ("begin", "end"), [*((at, at + 1) for at in range(SIZE)), (0, 24), (24, 32), (8, 16), (16, 24)]
)
def test_what_it_was_is_told_by_the_rest(crashed: tuple[Path, Path], begin: int, end: int) -> None:
    """Any damage to what it says, or to its checksum."""
    database, log = crashed
    content, rng = log.read_bytes(), random.Random(begin)
    for filling in (bytes(end - begin), bytes(255 - each for each in content[begin:end]), rng.randbytes(end - begin)):
        changed = content[:begin] + filling + content[end:]
        if changed != content:
            assert log_header.restored(database, changed) == content[:SIZE]


def test_a_page_size_that_is_another_is_told_of_a_log_that_is_torn(crashed: tuple[Path, Path]) -> None:
    """The database says how long the first frame is, wherever the log ends."""
    database, log = crashed
    content = log.read_bytes()
    page_size = log_header.HEADER.unpack_from(content)[2]
    torn = content[: SIZE + log_header.FRAME.size + page_size + 3]
    for other in {512, 4096, 65_536} - {page_size}:
        changed = torn[:8] + other.to_bytes(4, "big") + torn[12:]
        assert log_header.restored(database, changed) == content[:SIZE]


def test_where_both_are_changed_it_is_damage(crashed: tuple[Path, Path]) -> None:
    """Nothing is made up, and the verdict is the same as for any other damage."""
    database, log = crashed
    content = bytearray(log.read_bytes())
    content[3] ^= 2
    content[30] ^= 2
    log.write_bytes(content)
    assert log_header.restored(database, bytes(content)) is None
    assert log_check.is_damaged(database, log)


def test_of_a_log_without_a_frame_nothing_is_told(crashed: tuple[Path, Path]) -> None:
    database, log = crashed
    assert log_header.restored(database, bytes(SIZE)) is None
    assert log_header.restored(database, log.read_bytes()[: SIZE + 100]) is None
    database.write_bytes(b"")
    assert log_header.restored(database, log.read_bytes()) is None


@pytest.mark.parametrize("at", range(0, SIZE, 3))
def test_an_agent_loses_nothing_by_it(tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int) -> None:
    """The store goes on under the same epoch, with every reading that was acknowledged."""
    bench = Bench(tmp_path / "state")
    for number in range(10):
        bench.read("mast", ["temperature", number])
    before, epoch = bench.audit().balance, bench.core.state.epoch
    folder = bench.folder
    kept = {name: (folder / name).read_bytes() for name in (engine.FILE_NAME, engine.LOG_NAME)}
    bench.stop()
    changed = bytearray(kept[engine.LOG_NAME])
    changed[at] ^= 4
    (folder / engine.FILE_NAME).write_bytes(kept[engine.FILE_NAME])
    (folder / engine.LOG_NAME).write_bytes(changed)
    bench.start()
    assert bench.audit().balance == before
    assert bench.core.state.epoch == epoch
    assert not list(folder.glob("*.corrupt-*"))
    assert "header was damaged, and is restored" in caplog.text
    bench.stop()
