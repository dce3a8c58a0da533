"""A real centre, killed under load: what it acknowledged is stored once, in the end."""

from __future__ import annotations

import itertools
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING

import apsw
import duckdb
import httpx

from telemetry.uplink_contract import APPLIED_HEADER
from tests.cloud_sink.support import (
    CONFIG,
    EPOCH,
    NOON_MS,
    QUARTER_MS,
    Running,
    running_centre,
    sealed,
    summary,
    write_config,
)
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Processes, Spawned

LINES = 400
ATTEMPTS = 6


def start(processes: Processes, config: Path) -> tuple[Spawned, Running]:
    spawned = processes.bansui("centre", "run", "--config", str(config), "--clock", f"{NOON_MS},0,0.000001")
    spawned.wait_for_output("listening on ")
    return spawned, Running(spawned.stdout.split()[-1], clock=None, end=spawned.terminate)


def batch(sequence: int) -> bytes:
    start_ms = NOON_MS + sequence * QUARTER_MS
    return sealed(*(summary(start_ms=start_ms, device=f"co2-{index}") for index in range(LINES)))


def load_until_killed(centre: Running, spawned: Spawned, first: int) -> int:
    """Send batches in order until the centre dies under them; the number of the last acknowledged one."""
    killer = threading.Timer(0.4 + 0.13 * (first % 5), spawned.kill)
    killer.start()
    acknowledged = first - 1
    try:
        for sequence in itertools.count(first):
            assert centre.post(batch(sequence), sequence).status_code == 204
            acknowledged = sequence
    except httpx.TransportError:
        return acknowledged
    finally:
        killer.join()
        centre.client.close()
    raise AssertionError("unreachable")


def behind(state: Path) -> int:
    """How many batches stand in the inbox and not in the store, after a kill."""
    with duckdb.connect(str(state / "summaries.duckdb")) as store:
        (row,) = store.execute("SELECT position FROM mark").fetchall()
    inbox = apsw.Connection(str(state / "inbox.sqlite"))
    waiting = inbox.execute("SELECT position FROM mark WHERE position > ?", row).fetchall()
    inbox.close()
    return len(waiting)


def test_sigkill_between_inbox_and_store_loses_nothing_and_doubles_nothing(
    processes: Processes, tmp_path: Path
) -> None:
    config, acknowledged, hits = write_config(tmp_path), 0, 0
    for _ in range(ATTEMPTS):
        spawned, centre = start(processes, config)
        acknowledged = load_until_killed(centre, spawned, acknowledged + 1)
        hits += behind(tmp_path / "state") > 0
        if hits and acknowledged > 10:
            break
    print(f"killed with batches in the inbox that were not in the store: {hits}")
    assert hits, "no kill fell between the commit of the inbox and that of the store"

    spawned, centre = start(processes, config)
    with centre.client:
        # The batch under way at the kill may be durable without its acknowledgement: it is sent again.
        last = centre.post(batch(acknowledged + 1), acknowledged + 1)
        assert (last.status_code, last.headers[APPLIED_HEADER]) == (204, f"{EPOCH}-{acknowledged + 1}")
        centre.settle()
        lines = Counter(centre.export().splitlines())
        (balance, _) = centre.client.get("/api/v1/balance").json()
    assert len(lines) == (acknowledged + 1) * LINES
    assert set(lines.values()) == {1}
    assert balance["summaries_received"] == balance["summaries_stored"] == len(lines)
    assert spawned.terminate() == 0
    with duckdb.connect(str(tmp_path / "state" / "summaries.duckdb")) as store:
        assert store.execute("SELECT count(*) FROM summary").fetchall() == [(len(lines),)], "rows themselves, once"


def test_a_centre_ends_on_sigterm_while_someone_watches_and_its_port_can_be_taken_again(
    processes: Processes, tmp_path: Path
) -> None:
    spawned, centre = start(processes, write_config(tmp_path))
    with centre.client, centre.client.stream("GET", "/api/v1/live") as answer:
        next(answer.iter_lines())
        assert spawned.terminate() == 0
    assert spawned.stderr == ""


def test_a_port_that_is_taken_is_said_with_exit_code_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = write_config(tmp_path, CONFIG.replace("port = 0", f"port = {port}"))
        done = run_bansui("centre", "run", "--config", str(config))
    assert done.returncode == 3
    assert f"port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_folder_that_another_centre_has_open_is_said_with_exit_code_3(tmp_path: Path) -> None:
    with running_centre(tmp_path):
        done = run_bansui("centre", "run", "--config", str(tmp_path / "centre.toml"))
    assert done.returncode == 3
    assert "another centre" in done.stderr
