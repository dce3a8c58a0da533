"""`bansui buffer` and `bansui audit`: what a store holds, whether it is whole, what is in it, and its repair."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet
import pytest

from edge_agent.store import summaries
from edge_agent.store.engine import FILE_NAME, LOG_IS_GONE, LOG_NAME
from edge_agent.timing import Timing
from edge_agent.transactions import NewSummary
from tests.edge_agent.harness import MINUTE, MONDAY_9, Bench, delivered, undelivered
from tests.edge_agent.running import LISTENER, SENSOR, configure
from tests.faults.small_disk import own_mounts
from tests.support.commands import call_bansui
from tests.support.processes import BANSUI, run_bansui

if TYPE_CHECKING:
    from pathlib import Path

CLOCK: Final = f"{MONDAY_9 + 40 * MINUTE},0,1e-12"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose store has lived 40 minutes, some of it acknowledged; its agent is not running."""
    path = configure(tmp_path / "school", LISTENER, SENSOR)
    bench = Bench(path.parent / "state", timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    for minute in range(40):
        bench.read("mast", ["temperature", minute % 30])
        bench.until_closed(MINUTE)
        if bench.sends:
            bench.answer(delivered if minute < 20 else undelivered)
    bench.checkpoint()
    bench.stop()
    return path


def run(*args: str) -> tuple[int, dict[str, Any]]:
    done = call_bansui(*args, "--json")
    return done.returncode, json.loads(done.stdout or done.stderr)


def test_show_tells_hours(config: Path) -> None:
    """How much is stored, for how long there is room, how old the oldest is, and how the disk wears."""
    code, told = run("buffer", "show", "--config", str(config), "--clock", CLOCK)
    assert code == 0
    assert told["waiting_summaries"] == pytest.approx(19, abs=2)
    assert told["stored_minutes"] == (MONDAY_9 + 40 * MINUTE - told["oldest_ms"]) // MINUTE
    assert told["room_minutes"] > 72 * 60
    assert told["summaries_an_hour"] == pytest.approx(60, rel=0.2)
    assert told["next_retry_s"] is None
    assert told["wear_gb_a_day"] is not None
    text = run_bansui("buffer", "show", "--config", str(config), "--clock", CLOCK).stdout
    assert f"0 h {told['stored_minutes']:02d} min" in text
    assert "next retry  unknown: no agent answers" in text


def test_a_chinese_reader_is_told_in_chinese(config: Path) -> None:
    """What is stored, whether it is whole, and what each number of the balance counts."""
    chinese = {**os.environ, "LC_ALL": "zh_CN.UTF-8"}
    shown = run_bansui("buffer", "show", "--config", str(config), "--clock", CLOCK, env=chinese).stdout
    assert "下次重试  未知：边缘网关没有应答" in shown
    assert run_bansui("buffer", "verify", "--config", str(config), env=chinese).stdout == "存储完整\n"
    audited = run_bansui("audit", "--config", str(config), env=chinese).stdout
    assert re.search(r"^received +[0-9]+  到达网关的读数。$", audited, re.MULTILINE)
    assert audited.endswith("账目平衡\n")


def test_a_buffer_of_hours_or_mib_is_kept(config: Path) -> None:
    """The smaller of the two is the limit, and the room is reckoned from it."""
    config.write_text(config.read_text().replace("[store]", "[store]\nbuffer_mib = 40"))
    assert run("buffer", "show", "--config", str(config), "--clock", CLOCK)[1]["limit_bytes"] == 40 << 20
    config.write_text(config.read_text().replace("buffer_mib = 40", "buffer_mib = 40\nbuffer_hours = 1"))
    assert 32 << 20 <= run("buffer", "show", "--config", str(config), "--clock", CLOCK)[1]["limit_bytes"] < 40 << 20


def test_export_writes_what_waits(config: Path, tmp_path: Path) -> None:
    """JSON lines and Parquet say the same, in the quantity's unit; with the ledger, the acknowledged too."""
    lines, columns = tmp_path / "out.jsonl", tmp_path / "out.parquet"
    code, told = run("buffer", "export", "--config", str(config), "--out", str(lines))
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert (code, told["summaries"]) == (0, len(records))
    assert records[0]["quantity"] == "temperature"
    assert isinstance(records[0]["mean"], float)
    assert [record["start_ms"] for record in records] == sorted(record["start_ms"] for record in records)
    assert run("buffer", "export", "--config", str(config), "--out", str(columns))[1]["summaries"] == len(records)
    table = pyarrow.parquet.read_table(columns).to_pylist()
    assert [row["mean"] for row in table] == [record["mean"] for record in records]
    assert run("buffer", "export", "--config", str(config), "--out", str(lines), "--ledger")[1]["summaries"] > len(
        records
    )


def test_export_leaves_out_what_it_cannot_tell(config: Path, tmp_path: Path) -> None:
    """Of a quantity that another version knew, or not what was written: counted, the rest written, exit 1."""
    bench = Bench(config.parent / "state")
    connection = bench.store._connection
    first, second, *_ = summaries.read_all(connection)
    line = first.line.replace("temperature", "heat_of_tomorrow").split(" ")
    summaries.add(connection, [NewSummary(line[0], first.start_ms, line[1])])
    connection.execute("UPDATE summary SET fields = 'mean=1' || fields WHERE id = ?", (second.number,))
    connection.execute("UPDATE batch SET body = x'00', summaries = 5 WHERE state = 'sealed'")
    whole = sum(1 for _ in summaries.read_all(connection)) - 2
    bench.stop()
    out = tmp_path / "out.jsonl"
    code, told = run("buffer", "export", "--config", str(config), "--out", str(out))
    assert (code, told["summaries"], told["left_out"]) == (1, whole, {"unknown": 1, "damaged": 6})
    assert len(out.read_text().splitlines()) == whole


def test_export_that_fails_leaves_what_was_there(config: Path, tmp_path: Path) -> None:
    """A place that takes no file is named, exit 3; of a store that cannot be read, an earlier export stays."""
    done = call_bansui("buffer", "export", "--config", str(config), "--out", "/proc/out.parquet")
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    out = tmp_path / "out.jsonl"
    out.write_text("an earlier export")
    shutil.rmtree(config.parent / "state")
    assert call_bansui("buffer", "export", "--config", str(config), "--out", str(out)).returncode == 3
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.jsonl"]
    assert out.read_text() == "an earlier export"


def test_a_look_does_not_hide_that_the_log_is_gone(config: Path) -> None:
    """Said by verify and audit; nothing is made beside the store, so that the agent's next start sees it too."""
    folder = config.parent / "state"
    bench = Bench(folder)
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    bench.stop()
    shutil.rmtree(folder)
    kept.rename(folder)
    (folder / LOG_NAME).unlink()
    before = sorted(path.name for path in folder.iterdir())
    code, told = run("buffer", "verify", "--config", str(config))
    assert (code, told["faults"]) == (1, [LOG_IS_GONE])
    assert LOG_IS_GONE in run("audit", "--config", str(config))[1]["faults"]
    assert run("buffer", "show", "--config", str(config), "--clock", CLOCK)[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == before
    assert run("buffer", "repair", "--config", str(config))[1]["repaired"] is not None


def test_a_store_of_which_nothing_is_on_disk_yet(tmp_path: Path) -> None:
    """An agent that was killed while it made its first store: as if none had run."""
    path = configure(tmp_path / "school", LISTENER, SENSOR)
    (path.parent / "state").mkdir()
    (path.parent / "state" / FILE_NAME).touch()
    for command in (["buffer", "show"], ["buffer", "verify"], ["audit"]):
        done = call_bansui(*command, "--config", str(path))
        assert done.returncode == 3
        assert "there is no store" in done.stderr


@pytest.mark.small_disk
@pytest.mark.parametrize("log", ["gone", "there", "alone"])
def test_a_disk_that_takes_no_writing_is_read(config: Path, tmp_path: Path, log: str) -> None:
    """What a card holds that went read-only can be taken off it; a log without its index has to be copied first."""
    state, card, out = config.parent / "state", tmp_path / "card", tmp_path / "out.jsonl"
    bench = Bench(state)
    for path in state.iterdir() if log != "gone" else ():
        (config.parent / f"open.{path.name}").write_bytes(path.read_bytes())
    bench.stop()
    for path in config.parent.glob("open.*"):
        path.rename(state / path.name.removeprefix("open."))
    if log == "alone":
        (state / f"{FILE_NAME}-shm").unlink()
    card.mkdir()
    steps = f"mount -t tmpfs none {card} && cp -r {config.parent}/. {card} && mount -o remount,ro {card} && exec"
    export = f"{shlex.join(BANSUI)} buffer export --config {card / config.name} --out {out}"
    done = subprocess.run(
        ["unshare", *own_mounts(), "sh", "-c", f"{steps} {export}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == (3 if log == "alone" else 0), done.stderr
    assert ("copy the folder" in done.stderr) == (log == "alone")
    assert out.exists() == (log != "alone")


def test_another_ending_is_refused(config: Path, tmp_path: Path) -> None:
    """What it cannot write, it says; nothing is written."""
    done = call_bansui("buffer", "export", "--config", str(config), "--out", str(tmp_path / "out.csv"))
    assert done.returncode == 2
    assert ".jsonl or .parquet" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_whole_store(config: Path) -> None:
    """Verified, audited, and left alone by repair."""
    assert run("buffer", "verify", "--config", str(config)) == (0, {"whole": True, "faults": []})
    assert run("audit", "--config", str(config))[0] == 0
    assert run("buffer", "repair", "--config", str(config))[1] == {"was_whole": True, "repaired": None}


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE summary SET fields = 'mean=1' || fields WHERE id = (SELECT max(id) FROM summary)",
            "wait",
        ),
        ("UPDATE checkpoint SET state = x'7b7d'", "a checkpoint that is not what was written"),
        ("UPDATE counter SET value = value + 1 WHERE stage = 'received'", "the balance does not close"),
        ("UPDATE counter SET stage = CAST(x'ff' AS TEXT) WHERE id = 1", "codec can't decode"),
        ("UPDATE line_series SET text = CAST(x'ff' AS TEXT)", "summaries that wait are not"),
        ("UPDATE batch SET body = zeroblob(length(body)) WHERE sequence = 2", "have changed"),
    ],
)
def test_damage_is_named_and_mended(config: Path, statement: str, sentence: str) -> None:
    """Exit 1 with a sentence; repair moves it aside, keeps the rest, and the balance closes again."""
    bench = Bench(config.parent / "state")
    bench.store._connection.execute(statement)
    bench.stop()
    code, told = run("buffer", "verify", "--config", str(config))
    assert code == 1
    assert any(sentence in fault for fault in told["faults"]), told
    code, told = run("buffer", "repair", "--config", str(config))
    assert code == 0
    assert (config.parent / "state" / told["repaired"]["aside"]).exists()
    assert run("audit", "--config", str(config))[0] == 0
    assert run("buffer", "verify", "--config", str(config)) == (0, {"whole": True, "faults": []})


def test_an_audit_of_what_cannot_be_read(config: Path) -> None:
    """Exit 3, and how it is mended, however far SQLite itself can read the file."""
    bench = Bench(config.parent / "state")
    bench.store._connection.execute("UPDATE checkpoint SET state = x'7b7d'")
    bench.stop()
    done = call_bansui("audit", "--config", str(config))
    assert done.returncode == 3
    assert "`bansui buffer repair`" in done.stderr
    bench = Bench(config.parent / "state")
    bench.store._connection.execute("UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE name = 'told_until_ms'")
    bench.store._connection.execute("INSERT OR REPLACE INTO meta VALUES ('ran_s', CAST(x'ff' AS TEXT))")
    bench.stop()
    for command in (["audit"], ["buffer", "show"]):
        done = call_bansui(*command, "--config", str(config))
        assert done.returncode == 3
        assert "`bansui buffer repair`" in done.stderr


def test_what_is_no_database(config: Path) -> None:
    """A fault to verify, exit 3 to who wants something of it, and mended by repair as the agent would at its start."""
    for file in (config.parent / "state").glob(f"{FILE_NAME}*"):
        file.write_bytes(b"this is no database" * 1000)
    code, told = run("buffer", "verify", "--config", str(config))
    assert (code, told["whole"]) == (1, False)
    for command in (["buffer", "show"], ["audit"]):
        done = call_bansui(*command, "--config", str(config))
        assert done.returncode == 3
        assert "`bansui buffer repair`" in done.stderr
    code, told = run("buffer", "repair", "--config", str(config))
    assert (code, told["was_whole"]) == (0, False)
    assert run("buffer", "verify", "--config", str(config))[0] == 0
    assert run("audit", "--config", str(config))[0] == 0


def test_no_repair_beside_a_running_agent(config: Path) -> None:
    """The folder is the agent's."""
    bench = Bench(config.parent / "state")
    bench.store._connection.execute("UPDATE checkpoint SET state = x'7b7d'")
    done = run_bansui("buffer", "repair", "--config", str(config))
    assert done.returncode == 3
    assert "another agent is running" in done.stderr
    bench.stop()
