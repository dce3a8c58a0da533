"""What the command does when its output is lost: a full disk is an error, a reader that has left is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
CALLS = (["--help"], ["--version"], ["explain"], ["sim", "--help"], ["explain", "port_taken", "--json"])


def _run(args: list[str], stdout: int, *, unbuffered: bool) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **({"PYTHONUNBUFFERED": "1"} if unbuffered else {})}
    command = [sys.executable, "-m", "bansui", *args]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, timeout=60, check=False
    )


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("args", CALLS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_full_disk_is_an_error_of_the_environment(args: list[str], *, unbuffered: bool) -> None:
    with FULL.open("wb") as full:
        done = _run(args, full.fileno(), unbuffered=unbuffered)
    assert done.returncode == 3
    if "--json" in args:
        (error,) = json.loads(done.stderr)["errors"]
        assert (error["code"], error["where"]) == ("output_fault", "stdout")
    else:
        assert done.stderr.startswith("error: cannot write: No space left on device\n  where: stdout\n")
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("args", CALLS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_reader_that_has_left_ends_it_quietly(args: list[str], *, unbuffered: bool) -> None:
    """As SIGPIPE ends other programs, so that `set -o pipefail` sees the same."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = _run(args, writing, unbuffered=unbuffered)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_where_both_outputs_are_full_the_exit_code_says_so() -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bansui", "--help"], stdout=full, stderr=full, timeout=60, check=False
        )
    assert done.returncode == 3
