"""Processes that a test starts: their output is kept, and each of them ends with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BANSUI: Final = (sys.executable, "-m", "bansui")


def run_bansui(
    *args: str, timeout: float = 60.0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one `bansui` command to its end, as a person would, in the C locale unless `env` says otherwise."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "120", **(env or {})}
    return subprocess.run(
        [*BANSUI, *args], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


class Spawned:
    """A running process, in a process group of its own, with stdout and stderr in files."""

    def __init__(self, args: Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                list(args),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is its group's id too."""
        return self.process.pid

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far."""
        return self._stdout.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self._stderr.read_text(errors="replace")

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def wait(self, timeout: float = 30.0) -> int:
        """Its exit code; negative for a signal. Raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout)

    def wait_for_output(self, text: str, timeout: float = 20.0) -> None:
        """Wait until `text` stands in stdout or stderr; fail at once, with the output, if it ends before."""

        def seen() -> bool:
            if text in self.stdout or text in self.stderr:
                return True
            assert self.is_running(), f"ended with {self.process.returncode}:\n{self.stdout}\n{self.stderr}"
            return False

        wait_until(seen, timeout, f"{text!r} in the output of {self.process.args!r}")

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process itself."""
        self.process.send_signal(number)

    def terminate(self, timeout: float = 15.0) -> int:
        """Ask it to end, and wait."""
        self.process.terminate()
        return self.wait(timeout)

    def kill(self) -> None:
        """End it and everything in its group, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(10)


class Processes:
    """Starts processes, and ends all that are left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Spawned] = []

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> Spawned:
        """Start a program."""
        spawned = Spawned(args, self._folder / f"process-{len(self._started) + 1}", env=env)
        self._started.append(spawned)
        return spawned

    def bansui(self, *args: str, env: Mapping[str, str] | None = None) -> Spawned:
        """Start a `bansui` command."""
        return self.start(*BANSUI, *args, env=env)

    def end(self) -> None:
        """Kill every process group that was started."""
        for spawned in reversed(self._started):
            spawned.kill()
