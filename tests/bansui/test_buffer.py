"""`bansui buffer` and `bansui audit`: what a store holds, whether it is whole, what is in it, and its repair."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet
import pytest

from edge_agent.store.engine import FILE_NAME
from edge_agent.timing import Timing
from tests.edge_agent.harness import MINUTE, MONDAY_9, Bench, delivered, undelivered
from tests.edge_agent.running import LISTENER, SENSOR, configure
from tests.support.commands import call_bansui
from tests.support.processes import run_bansui

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
        ("UPDATE checkpoint SET state = x'7b7d'", "journal"),
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
    assert run("buffer", "repair", "--config", str(config))[1]["was_whole"] in (True, False)


def test_what_is_no_database(config: Path) -> None:
    """Said in words, exit 3; an agent that starts on it goes on."""
    for file in (config.parent / "state").glob(f"{FILE_NAME}*"):
        file.write_bytes(b"this is no database" * 1000)
    done = run_bansui("buffer", "verify", "--config", str(config))
    assert done.returncode == 3
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_repair_beside_a_running_agent(config: Path) -> None:
    """The folder is the agent's."""
    bench = Bench(config.parent / "state")
    bench.store._connection.execute("UPDATE checkpoint SET state = x'7b7d'")
    done = run_bansui("buffer", "repair", "--config", str(config))
    assert done.returncode == 3
    assert "another agent is running" in done.stderr
    bench.stop()
