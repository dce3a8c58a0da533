"""How a real centre ends, and what keeps it from starting."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from telemetry.uplink_contract import IDEMPOTENCY_HEADER, WRITE_PATH
from tests.cloud_sink.support import (
    CONFIG,
    DISTRICT,
    EPOCH,
    NOON_MS,
    QUARTER_MS,
    TOKENS,
    Running,
    running_centre,
    summary,
    write_config,
)
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Processes, Spawned


def start(processes: Processes, config: Path) -> tuple[Spawned, Running]:
    spawned = processes.bansui("centre", "run", "--config", str(config), "--clock", f"{NOON_MS},0,0.000001")
    spawned.wait_for_output("listening on ")
    return spawned, Running(spawned.stdout.split()[-1], clock=None, end=spawned.terminate)


def test_a_centre_ends_on_sigterm_while_someone_watches_and_its_port_can_be_taken_again(
    processes: Processes, tmp_path: Path
) -> None:
    spawned, centre = start(processes, write_config(tmp_path))
    with centre.client, centre.client.stream("GET", "/api/v1/live") as answer:
        next(answer.iter_lines())
        assert spawned.terminate() == 0
    assert spawned.stderr == ""


def test_a_centre_ends_while_an_agent_is_still_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a while it waits no longer, and says so, but nothing of a fault: the agent sends again."""
    monkeypatch.setattr("cloud_sink.server.LEAVE_WITHIN_S", 0.2)
    lines = (
        f"POST {WRITE_PATH}?org={DISTRICT}&bucket=cn-002&precision=ms HTTP/1.1",
        f"Authorization: Token {TOKENS['edge-1']}",
        f"{IDEMPOTENCY_HEADER}: {EPOCH}-1",
        *("Host: x", "Content-Encoding: gzip", "Content-Length: 100", "Expect: 100-continue"),
    )
    with socket.socket() as agent:
        with running_centre(tmp_path) as centre:
            url = httpx.URL(centre.url)
            agent.connect((url.host, url.port))
            agent.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
            assert agent.recv(100).startswith(b"HTTP/1.1 100")
        said = capsys.readouterr().err
    assert "timeout graceful shutdown exceeded" in said
    assert "Traceback" not in said


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


def test_a_state_folder_that_cannot_be_is_said_with_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    done = run_bansui("centre", "run", "--config", str(write_config(tmp_path)))
    assert done.returncode == 3
    assert "cannot write there: File exists" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "said"),
    [("summaries.duckdb", "the store cannot be opened"), ("catalogue.sqlite", "the catalogue cannot be opened")],
)
def test_a_damaged_file_that_the_centre_does_not_mend_is_said_with_exit_code_3(
    tmp_path: Path, file: str, said: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / file).write_bytes(b"not what was written" * 1000)
    done = run_bansui("centre", "run", "--config", str(write_config(tmp_path)))
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_room_that_is_configured_no_more_has_no_name_and_an_empty_one_is_gone(tmp_path: Path) -> None:
    named = "".join(
        f'\n[[room]]\nschool = "cn-002"\ncode = "{code}"\nbuilding = "a"\nname_zh = "教室"\nname_en = "Room"\n'
        for code in ("a-301", "a-302")
    )

    def rooms(centre: Running) -> list[tuple[str, str]]:
        told = centre.client.get("/api/v1/places").json()["schools"][0]["rooms"]
        return [(room["code"], room["name_en"]) for room in told]

    with running_centre(tmp_path, config=CONFIG + named) as centre:
        centre.write(summary())
        assert rooms(centre) == [("a-301", "Room"), ("a-302", "Room")]
    with running_centre(tmp_path) as centre:
        assert rooms(centre) == [("a-301", "a-301")]


def test_a_catalogue_that_was_taken_away_comes_back_with_the_next_summaries(tmp_path: Path) -> None:
    with running_centre(tmp_path) as centre:
        centre.write(summary())
    (tmp_path / "state" / "catalogue.sqlite").unlink()
    with running_centre(tmp_path) as centre:
        assert not centre.client.get("/api/v1/places").json()["schools"][0]["rooms"]
        centre.write(summary(start_ms=NOON_MS + QUARTER_MS), sequence=2)
        rooms = centre.client.get("/api/v1/places").json()["schools"][0]["rooms"]
        assert [room["code"] for room in rooms] == ["a-301"]
        assert centre.export().count("\n") == 2
