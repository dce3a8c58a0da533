"""The tests' own helpers do what the tests rely on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import Processes
from tests.support.waiting import until, wait_until

if TYPE_CHECKING:
    from tests.support.mosquitto import Mosquitto


def test_every_process_and_its_children_end(tmp_path: Path) -> None:
    """A test leaves nothing behind, not even the child of a process it started."""
    processes = Processes(tmp_path)
    parent = processes.start(
        sys.executable,
        "-c",
        "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()",
    )
    child = wait_until(lambda: int(parent.stdout or 0))
    processes.end()
    wait_until(lambda: not _is_alive(child), what="the child ends")
    assert not parent.is_running()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_waiting_names_what_did_not_come() -> None:
    """A deadline that passes says what was awaited."""
    with pytest.raises(AssertionError, match=r"not within 0.05 s: the moon"):
        await until(lambda: False, 0.05, "the moon")
    with pytest.raises(AssertionError, match="the sun"):
        wait_until(lambda: False, 0.05, "the sun")


@pytest.mark.mosquitto
def test_mosquitto_comes_back_on_its_port(mosquitto: Mosquitto) -> None:
    """A broker that was cut off can be started again where it was."""
    port = mosquitto.port
    mosquitto.stop()
    mosquitto.start()
    assert mosquitto.port == port
