"""What a start makes of a damaged store: it keeps what can be read, and counts what cannot."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from unittest.mock import Mock

import apsw
import pytest

from edge_agent.store import engine, log_check, summaries
from edge_agent.store.engine import FILE_NAME
from edge_agent.store.mending import mend, open_or_mend
from edge_agent.store.recovery import check_readable
from edge_agent.store.salvage import salvage
from edge_agent.transactions import NewSummary
from telemetry.uplink_contract import seal
from tests.edge_agent.harness import HOUR, MINUTE, Bench, delivered
from tests.faults.vfs import PowerFile, PowerVFS, registered

PAGE: Final = 4096


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An agent with batches acknowledged, one waiting, and windows open."""
    bench = Bench(tmp_path)
    for minute in range(12):
        bench.read("mast", ["temperature", minute])
        bench.read("air", ["carbon_dioxide", 600])
        bench.until_closed(MINUTE)
        if bench.sends and bench.core.state.next_sequence < 5:
            bench.answer(delivered)
    return bench


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE batch SET summaries = summaries + 4 WHERE sequence = 2",
        "UPDATE batch SET state = 'acknowlfdged' WHERE sequence = 2",
        "UPDATE counter SET value = value + 64 WHERE stage = 'admitted'",
        "DELETE FROM summary WHERE id = (SELECT max(id) FROM summary)",
    ],
)
def test_a_value_that_has_changed_shows_in_the_balance_and_is_mended(bench: Bench, change: str) -> None:
    """SQLite reads it without a word."""
    bench.core.flush()
    bench.settle()
    bench.store._connection.execute(change)
    assert bench.store._connection.changes()
    bench.restart()
    assert list(bench.folder.glob("*.corrupt-*"))
    assert bench.audit().faults == []
    bench.restart()
    assert len([each for each in bench.folder.glob("*.corrupt-*") if not each.name.endswith("-wal")]) == 1, "once"
    bench.stop()


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("UPDATE counter SET stage = {bad} WHERE stage = 'received'", 0),
        ("UPDATE meta SET value = {bad} WHERE name = 'epoch'", 0),
        ("INSERT INTO exchange VALUES ({bad}, 4)", 0),
        ("INSERT INTO receipt VALUES (1, {bad}, 1, zeroblob(8))", 0),
        ("INSERT INTO receipt VALUES (1, 'session', 1, zeroblob(7))", 0),
        ("UPDATE batch SET kind = {bad} WHERE sequence = 2", 0),
        ("UPDATE summary SET fields = {bad} WHERE id = (SELECT max(id) FROM summary)", 1),
    ],
)
def test_of_a_row_that_cannot_be_read_no_other_is_lost(bench: Bench, change: str, lost: int) -> None:
    """A bit that has flipped makes of a text no text at all, which SQLite hands out without a word."""
    bench.core.flush()
    bench.settle()
    connection = bench.store._connection
    summaries.add(connection, [NewSummary("temperature,school=s", minute, "mean=1") for minute in range(3)])
    connection.execute("UPDATE counter SET value = value + 3 WHERE stage = 'summaries'")
    waiting = summaries.count(connection)[0]
    open_readings = bench.core.state.open_readings()
    assert open_readings
    connection.execute(change.format(bad="CAST(x'61ff' AS TEXT)"))
    connection.execute("UPDATE counter SET value = value + 1 WHERE stage = 'admitted'")  # so that it is mended
    bench.restart()
    assert list(bench.folder.glob("*.corrupt-*"))
    assert summaries.count(bench.store._connection)[0] == waiting - lost
    assert bench.core.state.open_readings() == open_readings
    assert bench.audit().faults == []
    bench.stop()


def test_a_summary_that_is_no_text_any_more_is_dropped_and_counted(bench: Bench) -> None:
    """The agent seals the others: a start would find the same row again."""
    connection = bench.store._connection
    summaries.add(connection, [NewSummary("temperature,school=s", minute, "mean=1") for minute in range(2)])
    connection.execute("UPDATE counter SET value = value + 2 WHERE stage = 'summaries'")
    connection.execute("UPDATE summary SET fields = CAST(x'61ff' AS TEXT) WHERE id >> 20 = 0")
    connection.execute("UPDATE line_series SET text = CAST(x'61ff' AS TEXT) WHERE text = 'temperature,school=s'")
    bench.restart()
    for _ in range(20):
        bench.pass_time(MINUTE)
        bench.settle()
        if bench.sends:
            bench.answer(delivered)
    found = bench.audit()
    assert found.faults == []
    assert (found.balance["waiting"], found.balance["damaged"]) == (0, 2)
    bench.stop()


def test_what_is_open_where_the_past_is_unknown_is_counted_as_lost(bench: Bench) -> None:
    """Windows that were over while nobody ran may have been told: they are not told again."""
    connection = bench.store._connection
    connection.execute("DELETE FROM meta WHERE name = 'closed_until_ms'")
    connection.execute("UPDATE counter SET value = value + 1 WHERE stage = 'admitted'")  # so that it is mended
    lost = bench.core.state.open_readings()
    assert lost
    bench.stop()
    bench.clock.advance(HOUR)
    bench.start()
    assert bench.core.state.open_readings() == 0
    found = bench.audit()
    assert found.faults == []
    assert found.balance["gap"] > lost
    bench.stop()


def test_an_epoch_whose_name_is_damaged_is_no_epoch(bench: Bench) -> None:
    """Its batch is counted among what is lost."""
    connection = bench.store._connection
    connection.execute("UPDATE batch SET epoch = '629f' || char(0, 0) WHERE sequence = 1")
    connection.execute("UPDATE counter SET value = value + 1 WHERE stage = 'admitted'")
    bench.restart()
    assert bench.audit().faults == []
    bench.stop()


def test_pages_that_go_round_are_read_once(tmp_path: Path) -> None:
    """A page of a table is another one of it: its rows come again, and behind it more of them."""
    damaged = tmp_path / FILE_NAME
    connection = apsw.Connection(str(damaged))
    connection.execute("CREATE TABLE merged (id INTEGER PRIMARY KEY, filler TEXT)")
    connection.executemany("INSERT INTO merged VALUES (?, ?)", [(number, "x" * 1000) for number in range(100)])
    connection.close()
    content = damaged.read_bytes()
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    pages[-5] = pages[-12]
    damaged.write_bytes(b"".join(pages))
    target = _empty_store(tmp_path / "new")
    salvage(damaged, target, "0" * 16)
    kept = [number for (number,) in target.execute("SELECT id FROM merged ORDER BY id")]
    assert len(kept) > 90
    assert kept[-1] == 99
    target.close()


@pytest.mark.parametrize("place", [0, 7])
@pytest.mark.parametrize(("first", "step"), [(1_760_000_000_000 << 20 | 3, 900_000 << 20), (1, 1)])
def test_of_a_page_that_cannot_be_read_no_other_is_lost(tmp_path: Path, place: int, first: int, step: int) -> None:
    """Numbers of summaries are high and far apart, those of others go on by one."""
    damaged = tmp_path / FILE_NAME
    connection = apsw.Connection(str(damaged))
    connection.execute("CREATE TABLE merged (id INTEGER PRIMARY KEY, filler TEXT)")
    numbers = range(first, first + 400 * step, step)
    connection.executemany("INSERT INTO merged VALUES (?, ?)", [(number, "x" * 100) for number in numbers])
    leaf = "SELECT pageno, ncell FROM dbstat WHERE name = 'merged' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET ?"
    page, rows = next(connection.execute(leaf, (place,)))
    connection.close()
    _spoil(damaged, page)
    assert _salvaged(tmp_path) == len(numbers) - rows


def test_a_row_that_cannot_be_read_far_behind_the_last_is_passed_over(tmp_path: Path) -> None:
    """Its number can be read, and nothing else of it."""
    damaged = tmp_path / FILE_NAME
    connection = apsw.Connection(str(damaged))
    connection.execute("CREATE TABLE merged (filler TEXT, id INTEGER)")
    rows = [(number, "x" * length, number) for number, length in ((1, 1), (1 << 50, 20_000), ((1 << 50) + 1, 1))]
    connection.executemany("INSERT INTO merged (rowid, filler, id) VALUES (?, ?, ?)", rows)
    connection.close()
    content = damaged.read_bytes()
    content = content.replace((5).to_bytes(4, "big") + b"x" * 100, (9000).to_bytes(4, "big") + b"x" * 100)
    assert content != damaged.read_bytes()
    damaged.write_bytes(content)
    assert _salvaged(tmp_path) == 2


@pytest.mark.parametrize(("stands_still_s", "every", "kept"), [(1000.0, 30, 100), (0.2, 1, 30)])
def test_a_machine_that_stands_still_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stands_still_s: float, every: int, kept: int
) -> None:
    """Suspended for a quarter of an hour now and then; a disk that is slow at every row is given up in time."""
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    connection.execute("CREATE TABLE merged (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO merged VALUES (?)", [(number,) for number in range(100)])
    connection.close()
    asked = itertools.count()
    monkeypatch.setattr("edge_agent.store.salvage.time.monotonic", lambda: next(asked) // every * stands_still_s)
    assert kept - 10 <= _salvaged(tmp_path) <= kept


@pytest.mark.parametrize(("step_s", "free"), [(0.0125, 1 << 30), (0.0, 2_000_000)])
def test_where_time_or_room_is_short_old_bytes_are_given_up_and_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, free: int
) -> None:
    """Of half a year of them the hashes do; what the centre has not is the newest, and comes whole."""
    _empty_store(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    for number in range(301):
        state = "acknowledged" if number < 300 else "sealed"
        body = seal(f"temperature,school=s mean={number} {number}\n".encode())
        values = "a" * 16, number + 1, "summaries", state, hashlib.sha256(body).digest(), bytes(32), 1, 1, 1, body
        connection.execute("INSERT INTO batch VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    asked = itertools.count()
    monkeypatch.setattr("edge_agent.store.salvage.time.monotonic", lambda: next(asked) * step_s)
    target = _empty_store(tmp_path / "new")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
    salvage(tmp_path / FILE_NAME, target, "0" * 16)
    kept = [has_body for (has_body,) in target.execute("SELECT body IS NOT NULL FROM batch ORDER BY id")]
    target.close()
    assert len(kept) == 301
    assert 50 < sum(kept) < 290
    assert all(kept[-sum(kept) :]), "the newest"


def test_a_log_that_the_disk_cannot_read_costs_what_is_in_it_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what is written most, and wears first; without it the file is as it was at its last checkpoint."""
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    connection.execute("CREATE TABLE merged (id INTEGER PRIMARY KEY); INSERT INTO merged VALUES (1), (2)")
    connection.pragma("journal_mode", "wal")
    connection.close()
    (tmp_path / f"{FILE_NAME}-wal").mkdir()
    assert _salvaged(tmp_path) == 2

    bench = Bench(tmp_path / "agent")
    bench.stop()
    (tmp_path / "agent" / f"{FILE_NAME}-wal").touch()
    error = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(log_check, "is_damaged", Mock(side_effect=[error, False]))
    bench.start()
    assert list(bench.folder.glob("*.corrupt-*"))
    bench.stop()


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}-wal"])
def test_a_file_that_the_disk_does_not_give_back_is_mended(bench: Bench, name: str) -> None:
    """A bad sector, which SQLite meets: the next start would meet it again."""
    engine.abandon(bench.store._connection)
    os.close(bench.store._lock)
    with registered(_BadSector(bench.folder / name)) as disk:
        connection = open_or_mend(bench.folder, lambda: "0" * 16, disk.name)
        assert disk.hits
        check_readable(connection)
        engine.abandon(connection)
    assert len([each for each in bench.folder.glob("*.corrupt-*") if not each.name.endswith("-wal")]) == 1


def test_of_damaged_files_the_newest_are_kept(bench: Bench) -> None:
    """A disk that fails again and again would fill with them; by a clock that was set back the last is the newest."""
    bench.stop()
    old = [bench.folder / f"{FILE_NAME}.corrupt-{number}" for number in (10, 9, 8, 1 << 62)]
    for each in old:
        each.touch()
        each.with_name(f"{each.name}-wal").touch()
    kept = bench.folder / f"{FILE_NAME}.corrupt-of-march"
    kept.touch()
    content = (bench.folder / FILE_NAME).read_bytes()
    mended = mend(bench.folder, "0" * 16)
    assert mended.aside == f"{FILE_NAME}.corrupt-{(1 << 62) + 1}"
    assert (bench.folder / mended.aside).read_bytes() == content
    assert [each.exists() for each in old] == [True, False, False, True]
    assert [each.with_name(f"{each.name}-wal").exists() for each in old] == [True, False, False, True]
    assert kept.exists(), "somebody has put it there"
    bench.start()
    assert bench.audit().faults == []
    bench.stop()


class _BadSector(PowerVFS):
    """Does not give back what is in one file, by whatever name."""

    def __init__(self, path: Path) -> None:
        super().__init__("bad-sector")
        self.inode = path.stat().st_ino
        self.hits = 0

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> PowerFile:  # noqa: N802 - apsw's name
        return _BadFile(name, flags, self)


class _BadFile(PowerFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], vfs: _BadSector) -> None:
        super().__init__(name, flags, vfs)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._disk = vfs
        self._is_bad = Path(path).exists() and Path(path).stat().st_ino == vfs.inode

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        if self._is_bad:
            self._disk.hits += 1
            error = apsw.IOError("Input/output error")
            error.extendedresult = apsw.SQLITE_IOERR_CORRUPTFS  # type: ignore[attr-defined] # read where it is set
            raise error
        return super().xRead(amount, offset)


def _spoil(path: Path, page: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: (page - 1) * PAGE] + b"\xff" * PAGE + content[page * PAGE :])


def _salvaged(folder: Path) -> int:
    """How many rows of `merged` are kept."""
    target = _empty_store(folder / "new")
    salvage(folder / FILE_NAME, target, "0" * 16)
    (number,) = next(target.execute("SELECT count(*) FROM merged"))
    target.close()
    return int(number)


def _empty_store(folder: Path) -> apsw.Connection:
    bench = Bench(folder)
    bench.stop()
    return apsw.Connection(str(folder / FILE_NAME))
