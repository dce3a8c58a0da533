"""The store: what was committed is there after any end, as it was, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from edge_agent.store import Store, engine, log_file, mending, schema
from edge_agent.store.engine import StoreBusy, StoreUnusable, row
from edge_agent.transactions import Kind, NewSummary, Transaction
from telemetry.uplink_contract import unseal
from tests.edge_agent.harness import DEVICES, HOUR, MINUTE, SECOND, Bench, bind, delivered, frame, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.state import State


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    """Without the rights of whoever runs the test."""
    user = os.geteuid()
    if not user:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.stop()


def open_store(folder: Path) -> Store:
    return Store(folder, new_epoch=lambda: "0123456789abcdef")


def is_same(before: State, after: State) -> None:
    for each in fields(before):
        if each.compare and each.name not in ("counts", "timetable"):
            assert getattr(before, each.name) == getattr(after, each.name), each.name
    assert {key: number for key, number in before.counts.items() if number} == {
        key: number for key, number in after.counts.items() if number
    }
    live = before.timetable.days.items()
    assert live <= after.timetable.days.items()


def live_a_while(bench: Bench) -> None:
    """Windows open and closed, safety told, batches acknowledged, refused and waiting."""
    for minute in range(40):
        bench.read("air", ["carbon_dioxide", 600 + minute, ""], ["temperature", 20.5, "2"])
        bench.read("meter", ["energy", minute / 10])
        bench.read("board", ["display_power", minute % 3])
        bench.read("alarm", ["smoke", minute // 10 % 2])
        bench.until_closed(MINUTE)
        if minute in (8, 20) and bench.sends:
            bench.answer(delivered)
    bench.answer(refused)


def test_a_restart_finds_the_state_it_left(bench: Bench) -> None:
    """Windows, carried values, safety, receipts, counters, unacknowledged bytes: all as before."""
    live_a_while(bench)
    before = bench.core.state
    assert before.open_readings()
    assert before.unacknowledged
    assert before.safety
    bench.restart()
    is_same(before, bench.core.state)


def test_a_checkpoint_changes_nothing_but_the_journal(tmp_path: Path) -> None:
    """With checkpoints or restarts between, the summaries are the same; the journal keeps one row."""
    outcomes = []
    for name in ("plain", "checkpoints", "restarts"):
        bench = Bench(tmp_path / name)
        for minute in range(25):
            bench.read("air", ["carbon_dioxide", 600 + minute], ["temperature", 20 + minute / 7])
            bench.read("meter", ["energy", minute * 1.5], ["power", 900 - minute])
            if name == "checkpoints":
                bench.checkpoint()
                assert bench.store._connection.execute("SELECT count(*) FROM journal").fetchall() == [(1,)]
            elif name == "restarts":
                bench.restart()
            bench.until_closed(MINUTE)
        bench.restart()
        bench.until_closed(2 * HOUR)
        outcomes.append(sorted(bench.told()))
        bench.stop()
    assert outcomes[0]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_journal_does_not_grow_from_crash_to_crash(tmp_path: Path) -> None:
    """However soon one follows the other: each start goes through what came since the one before it."""
    bench = Bench(tmp_path)
    for _ in range(5):
        for value in range(10):
            bench.read("mast", ["temperature", value])
        bench.arrive("mast", frame("refuse"))
        bench.settle()
        bench.restart()
        assert bench.core.state.journal_rows == 11
        assert bench.audit().faults == []
    bench.stop()


def test_a_log_that_is_there_is_written_again_at_the_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before SQLite reads it: of what an fsync failed to bring to the disk nothing shows there."""
    written: list[bytes] = []
    rewrite = log_file.rewrite

    def seen(log: Path, vfs: str | None) -> None:
        written.append(log.read_bytes())
        rewrite(log, vfs)
        assert log.read_bytes() == written[-1]

    monkeypatch.setattr(log_file, "rewrite", seen)
    bench.read("mast", ["temperature", 5])
    content = (bench.folder / engine.LOG_NAME).read_bytes()
    for path in (bench.folder / engine.FILE_NAME, bench.folder / engine.LOG_NAME):
        path.with_name(f"crashed.{path.name}").write_bytes(path.read_bytes())
    bench.stop()
    for path in bench.folder.glob("crashed.*"):
        path.rename(bench.folder / path.name.removeprefix("crashed."))
    bench.start()
    assert written == [content]


def test_numbers_of_series_do_not_run_out(bench: Bench) -> None:
    """Each time the clock is set back, what is told again is of new series; their numbers begin again."""
    many, connection = 1 << (schema.SERIES_BITS - 1), bench.store._connection
    connection.execute("INSERT INTO line_series VALUES (?, 'of a clock that was set back often')", (many,))
    for minute in range(20):
        bench.read("mast", ["temperature", minute])
        bench.until_closed(MINUTE)
        while bench.sends:
            bench.answer(delivered)
    assert row(connection, "SELECT max(id) FROM line_series")[0] < 20
    balance = bench.audit().balance
    assert (balance["damaged"], balance["acknowledged"] > 10) == (0, True)


def test_an_edited_configuration_loses_no_reading(bench: Bench) -> None:
    """After a crash, readings of a device taken out, of a stricter rule and of another cadence are accounted for."""
    bench.read("air", ["carbon_dioxide", 700], ["temperature", 21])
    bench.read("mast", ["temperature", 9], ["wind_speed", 3])
    bench.read("meter", ["power", 800])
    bench.stop()
    slow = bind("meter", ("power", "energy"), cadence=type(DEVICES[0].cadence)(2 * HOUR, 2 * HOUR))
    bench.devices = (bind("mast", ("temperature", "wind_speed")), slow)  # indoors now; "air" is gone
    bench.start()
    bench.until_closed(2 * HOUR)
    found = bench.audit()
    assert found.faults == []
    assert found.balance["open"] == 0
    assert found.devices["air"]["withheld"] == 2
    assert found.devices["mast"]["withheld"] == 2, "a minute of what is P1 now may not leave"
    assert found.devices["meter"]["summarised"] == 1


def test_one_window_is_never_twice_in_the_outbox(tmp_path: Path) -> None:
    """A second summary of one series and window raises, and leaves nothing of its transaction."""
    store = open_store(tmp_path)
    summary = NewSummary("s", 0, "mean=1")
    store.commit(Transaction(kind=Kind.CLOSE, summaries=[summary], closed_until_ms=1))
    with pytest.raises(apsw.ConstraintError):
        store.commit(Transaction(kind=Kind.CLOSE, summaries=[summary], closed_until_ms=2))
    assert store.load(0).closed_until_ms == 1
    store.close()


def test_commits_are_synced_into_a_log(tmp_path: Path) -> None:
    """WAL and synchronous=FULL are really in force, on a SQLite without the log's old bug."""
    store = open_store(tmp_path)
    assert store._connection.pragma("journal_mode") == "wal"
    assert store._connection.pragma("synchronous") == 2
    assert apsw.sqlite_lib_version() >= "3.51.3"
    store.close()


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that can corrupt its log never opens the store."""
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StoreUnusable, match=r"SQLite 3\.51\.2"):
        open_store(tmp_path)


def test_a_second_agent_is_kept_out(tmp_path: Path) -> None:
    """One folder has one writer; the second is told so, also when it is another process."""
    store = open_store(tmp_path)
    with pytest.raises(StoreBusy):
        open_store(tmp_path)
    code = (
        "import sys, pathlib\nfrom edge_agent.store import Store\nfrom edge_agent.store.engine import StoreBusy\n"
        "try:\n    Store(pathlib.Path(sys.argv[1]), new_epoch=str)\nexcept StoreBusy as error:\n    print(error)\n"
    )
    other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "another agent is running" in other.stdout
    store.close()
    open_store(tmp_path).close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    """A store of a later version is refused with both numbers, by the agent and by the audit, and not changed."""
    store = open_store(tmp_path)
    store._connection.pragma("user_version", 99)
    store.close()
    before = (tmp_path / engine.FILE_NAME).read_bytes()
    with pytest.raises(StoreUnusable, match=f"schema 99; this agent knows {schema.VERSION}"):
        open_store(tmp_path)
    with pytest.raises(StoreUnusable, match="schema 99"):
        engine.open_reader(tmp_path)
    assert (tmp_path / engine.FILE_NAME).read_bytes() == before


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file where the folder should be: the mistake in words, no traceback."""
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreUnusable, match="cannot write into"):
        open_store(tmp_path / "state")
    with pytest.raises(StoreUnusable, match="no store"):
        engine.open_reader(tmp_path)


@pytest.mark.parametrize("damage", ["text", "page", "journal", "checkpoint", "series"])
def test_a_damaged_file_is_moved_aside(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is damaged, the agent starts at once on a new store; what was there stays aside, and the epoch ends."""
    bench = Bench(tmp_path)
    bench.read("air", ["carbon_dioxide", 700])
    bench.checkpoint()
    bench.read("air", ["carbon_dioxide", 701])
    old_epoch = bench.store.epoch
    connection = bench.store._connection
    if damage == "journal":
        connection.execute("UPDATE journal SET runs = x'0102'")
    elif damage == "checkpoint":
        connection.execute("UPDATE checkpoint SET state = ?", (json.dumps({"series": 1}).encode()[:-2],))
    elif damage == "series":
        connection.execute("DELETE FROM series")
    bench.stop()
    file = tmp_path / engine.FILE_NAME
    if damage == "text":
        file.write_bytes(b"this is no database" * 1000)
    elif damage == "page":
        content = bytearray(file.read_bytes())
        content[4096 + 2 : 4096 + 400] = bytes(398)
        file.write_bytes(content)
    bench.start()
    assert "moved aside" in caplog.text
    assert list(tmp_path.glob("agent.db.corrupt-*"))
    kept = bench.audit()
    assert kept.faults == []
    bench.read("air", ["carbon_dioxide", 702])
    bench.restart()
    assert bench.audit().balance["admitted"] == kept.balance["admitted"] + 1, "the new store's own log was lost"
    bench.until_closed(MINUTE)
    if damage in ("journal", "checkpoint", "series"):
        assert bench.core.state.epoch == old_epoch
        assert unseal(bench.answer(delivered).body).startswith(b"{"), "the report that closes the epoch"
        bench.until_closed(MINUTE)
    assert bench.core.state.epoch != old_epoch
    assert bench.audit().closes
    bench.stop()


def test_a_mending_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills while a damaged store is mended: the next start keeps what this one would have kept."""
    bench = Bench(tmp_path)
    bench.read("air", ["carbon_dioxide", 700])
    bench.read("air", ["carbon_dioxide", 701])
    bench.store._connection.execute(
        "UPDATE journal SET runs = x'0102' WHERE position = (SELECT max(position) FROM journal)"
    )
    bench.stop()

    def fail(*_: object) -> None:
        raise apsw.FullError

    with monkeypatch.context() as patch:
        patch.setattr(mending, "salvage", fail)
        with pytest.raises(engine.StoreUnusable):
            bench.start()
    assert not (tmp_path / engine.FILE_NAME).exists()
    bench.start()
    assert bench.audit().faults == []
    assert bench.audit().balance["admitted"] == 1
    assert {each.name for each in tmp_path.iterdir() if "corrupt" not in each.name} >= {engine.FILE_NAME}
    assert not (tmp_path / "mending").exists()
    bench.stop()


@pytest.mark.parametrize("hidden", ["folder", "file"])
def test_a_store_of_another_user_is_said(hidden: str) -> None:
    """Who may not go into the folder, or not open the file, is told to be the agent's user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders keep others out
        Path(name).chmod(0o777)
        folder = Path(name) / "state"
        bench = Bench(folder)
        bench.read("mast", ["temperature", 1])
        bench.stop()
        folder.chmod(0o000 if hidden == "folder" else 0o777)
        for each in folder.iterdir():
            each.chmod(0o000)
        with another_user():
            with pytest.raises(StoreUnusable, match="cannot be opened: Permission denied") as caught:
                engine.open_reader(folder)
            with pytest.raises((StoreUnusable, apsw.CantOpenError)):
                engine.open_writer(folder)
        folder.chmod(0o700)
    assert caught.value.fix == f"run this as the agent's user, who owns {folder}"


@pytest.mark.parametrize("was_there", [False, True])
def test_the_store_is_its_owners_alone(tmp_path: Path, *, was_there: bool) -> None:
    """Whatever the umask, also of files that an agent made before: nobody else can read what waits to be told."""
    folder = tmp_path / "state"
    folder.mkdir()
    if was_there:
        apsw.Connection(str(folder / engine.FILE_NAME)).close()
        (folder / engine.FILE_NAME).touch(0o644)
    before = os.umask(0)
    try:
        bench = Bench(folder)
    finally:
        os.umask(before)
    bench.read("mast", ["temperature", 1])
    modes = {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}
    assert {"agent.db", "agent.db-wal", "agent.db-shm", "agent.lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    bench.stop()


def test_an_error_of_the_disk_at_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite raises becomes an environment fault; the folder is let go."""

    def fail(*_args: object, **_settings: object) -> None:
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "open_writer", fail)
        with pytest.raises(StoreUnusable, match="IOError"):
            open_store(tmp_path)
    open_store(tmp_path).close()


def test_the_ledger_is_shortened_to_hashes(bench: Bench) -> None:
    """After its time a batch keeps its place in the chain and loses its bytes; the audit still closes."""
    live_a_while(bench)
    acknowledged = bench.audit().balance["acknowledged"]
    assert acknowledged
    bench.store.commit(
        Transaction(
            kind=Kind.CHECKPOINT, checkpoint=bench.core.state.checkpoint(), ledger_before_ms=bench.clock.now() + SECOND
        )
    )
    rows = bench.store._connection.execute("SELECT state, body IS NULL FROM batch").fetchall()
    assert {state for state, is_short in rows if is_short} == {"acknowledged"}
    found = bench.audit()
    assert found.faults == []
    assert found.balance["acknowledged"] == acknowledged


def test_a_frame_is_on_disk_without_its_bytes(bench: Bench) -> None:
    """What is refused leaves its driver, a reason and a length, never a payload."""
    secret = frame(["temperature", "Li Hua, card 4711"])
    bench.arrive("air", frame("refuse"), secret, secret)
    bench.settle()
    rows = bench.store._connection.execute("SELECT driver, reason, length, frames FROM quarantine").fetchall()
    assert sorted(rows) == [("list", "driver_fault", len(secret.payload), 2), ("list", "malformed", 8, 1)]
    dump = b"".join(path.read_bytes() for path in bench.folder.iterdir())
    assert b"4711" not in dump
