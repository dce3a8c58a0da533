"""`bansui broker`, run as a person runs it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bansui.free_port import free_port
from broker.credentials import ScryptHash
from tests.support.processes import BANSUI, Processes, run_bansui
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clients(tmp_path: Path) -> str:
    (tmp_path / "pw").write_text("x")
    file = tmp_path / "clients.toml"
    file.write_text('[[client]]\nid = "a"\npassword_file = "pw"\npublish = ["t/#"]\n')
    return str(file)


def hash_password(stdin: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BANSUI, "broker", "hash-password"], input=stdin, capture_output=True, text=True, check=False
    )


def test_hash_password_prints_a_hash_that_verifies() -> None:
    done = hash_password("correct horse\n")
    assert done.returncode == 0, done.stderr
    assert ScryptHash.parse(done.stdout.strip()).verify(b"correct horse")


def test_hash_password_refuses_an_empty_one() -> None:
    done = hash_password("")
    assert done.returncode == 2
    assert "empty" in done.stderr


def test_the_broker_for_trials_has_to_be_told_who_may_connect() -> None:
    done = run_bansui("broker", "run")
    assert done.returncode == 2
    assert "--clients FILE" in done.stderr


async def test_the_broker_for_trials_runs_says_what_it_is_and_ends_on_sigterm(
    processes: Processes, clients: str
) -> None:
    args = ("broker", "run", "--clients", clients, "--port", str(free_port()))
    running = processes.bansui(*args)
    await until(lambda: "Ctrl-C ends it" in running.stdout, 20)
    await until(lambda: "at most once" in running.stdout)
    second = run_bansui(*args)
    assert second.returncode == 3
    assert "ss -ltnp" in second.stderr
    assert "Traceback" not in second.stderr
    assert running.terminate() == 0
    assert running.stderr == ""


def test_mosquittos_files_are_written_from_the_same_clients(clients: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    done = run_bansui("broker", "mosquitto", "--clients", clients, "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    assert "include_dir" in done.stdout
    acl = (folder / "acl").read_text()
    assert acl.startswith("user a\ntopic write t/#\ntopic read t/set\n")
    assert acl.endswith("topic read homeassistant/status\n")
    assert (folder / "passwords").stat().st_mode & 0o007 == 0
