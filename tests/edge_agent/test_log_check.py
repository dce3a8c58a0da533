"""A write-ahead log that a disk has damaged is told from one that a power cut has torn."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import apsw
import pytest

from edge_agent.store import engine, log_check, log_file

if TYPE_CHECKING:
    from pathlib import Path


def _left_by_a_crash(folder: Path) -> tuple[Path, Path]:
    """A database and its log, with 30 transactions in it, whose writer is gone."""
    rng = random.Random(7)
    database, log = folder / engine.FILE_NAME, folder / engine.LOG_NAME
    writer = apsw.Connection(str(database))
    writer.pragma("page_size", 512)
    writer.pragma("journal_mode", "WAL")
    writer.execute("CREATE TABLE blobs (content)")
    writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    for _ in range(30):
        writer.execute("INSERT INTO blobs VALUES (randomblob(?))", (rng.randint(1, 2000),))
    engine.abandon(writer)
    return database, log


def _changed(content: bytes, rng: random.Random) -> bytes:
    """As a disk might leave it: with a few bits turned, or cut short."""
    changed = bytearray(content[: rng.choice([len(content), rng.randrange(len(content))])])
    for _ in range(rng.choice([0, 1, 3])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def test_what_sqlite_has_checked_is_not_judged_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever became of the log: the verdict is that of all frames checked here, and no file is touched."""
    database, log = _left_by_a_crash(tmp_path)
    content, before = log.read_bytes(), database.read_bytes()
    rng = random.Random(1)
    logs = [content, *(_changed(content, rng) for _ in range(60))]
    verdicts = []
    for each in logs:
        log.write_bytes(each)
        verdicts.append(log_check.is_damaged(database, log))
        assert (database.read_bytes(), log.read_bytes()) == (before, each)
    monkeypatch.setattr(log_check, "_frames_that_check", lambda _: 0)
    for each, verdict in zip(logs, verdicts, strict=True):
        log.write_bytes(each)
        assert log_check.is_damaged(database, log) == verdict
    assert not verdicts[0]
    assert 10 < sum(verdicts) < 50


def test_frames_that_sqlite_has_checked_are_not_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole log costs none of our own checksums, which are slow."""
    database, log = _left_by_a_crash(tmp_path)
    monkeypatch.setattr(log_check, "checksum", lambda *_, **__: pytest.fail("checked here"))
    assert not log_check.is_damaged(database, log)


def test_beside_a_reader_the_log_itself_is_checked(tmp_path: Path) -> None:
    """The reader's index of the log was made before the disk changed it."""
    database, log = _left_by_a_crash(tmp_path)
    reader = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    reader.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    assert reader.execute("SELECT count(*) FROM blobs").get == 30
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    assert log_check.is_damaged(database, log)
    reader.close()


def test_an_empty_database_keeps_its_log(tmp_path: Path) -> None:
    """SQLite deletes a log beside an empty file: what is in it can still be kept."""
    database, log = _left_by_a_crash(tmp_path)
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    database.write_bytes(b"")
    assert log_check.is_damaged(database, log)
    assert log.read_bytes() == content


@pytest.mark.parametrize("kept", range(0, 513, 64))
def test_what_a_failed_transaction_has_left_is_no_damage(tmp_path: Path, kept: int) -> None:
    """It was never committed; the next one is written over its beginning, and torn by a power cut."""
    database, log = _left_by_a_crash(tmp_path)
    writer = apsw.Connection(str(database))
    writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    writer.pragma("cache_size", 4)
    writer.execute("BEGIN; INSERT INTO blobs SELECT zeroblob(900) FROM blobs; ROLLBACK")
    left = log.read_bytes()
    writer.execute("UPDATE blobs SET content = x'01' WHERE rowid = 1")
    content = log.read_bytes()
    engine.abandon(writer)
    assert len(content) == len(left)
    frame = 24 + 512
    changed = [at for at in range(32, len(left), frame) if left[at : at + frame] != content[at : at + frame]]
    torn = changed[-1] + 24 + kept  # within the frame that commits
    assert torn < len(left) - frame
    log.write_bytes(content[:torn] + left[torn:])
    assert not log_check.is_damaged(database, log)


def test_what_a_failed_transaction_has_left_is_taken_away(tmp_path: Path) -> None:
    """The log ends with the last transaction that was committed, and all of those can be read from it."""
    database, log = _left_by_a_crash(tmp_path)
    writer = apsw.Connection(str(database))
    writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    writer.pragma("cache_size", 4)
    before = log.read_bytes()
    writer.execute("BEGIN; INSERT INTO blobs SELECT zeroblob(900) FROM blobs; ROLLBACK")
    assert log.stat().st_size > len(before)
    log_file.trim(log, writer, None)
    assert log.read_bytes() == before
    log_file.trim(log, writer, None)
    writer.execute("INSERT INTO blobs VALUES (x'01')")
    engine.abandon(writer)
    assert not log_check.is_damaged(database, log)
    assert apsw.Connection(str(database)).execute("SELECT count(*) FROM blobs").get == 31
