"""The demo's processes: each in a group of its own, with its output in a file, and ended with the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST_FAREWELL_S: Final = 8.0
_LAST_LINES: Final = 12


class ChildEnded(EnvironmentFault):
    """A part of the demo that ended by itself."""

    code = "demo_part_ended"


class Child:
    """One `bansui` command as a process."""

    def __init__(self, name: str, args: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bansui", *args],  # not what happens to lie in this folder
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def ended(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL."""
        return self.ended == -signal.SIGKILL

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raises `ChildEnded`, with its last words, when it does not run any more."""
        if self.ended is not None:
            lines = self.output.splitlines()[-_LAST_LINES:]
            raise ChildEnded(
                f"the {self.name} ended with {self.ended}",
                where=self.name,
                why="its last words: " + "\n    ".join(lines) if lines else "it said nothing",
                fix="see to what it says, then start the demo again",
            )

    def ask_to_end(self) -> None:
        """SIGTERM; harmless when it has ended."""
        if self.ended is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until it has ended, and at `deadline` (monotonic) kill it and what it started."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def end_all(children: Sequence[Child]) -> None:
    """End every one; returns when none is left. Blocks, so that nothing can come between."""
    for child in children:
        child.ask_to_end()
    deadline = time.monotonic() + LONGEST_FAREWELL_S
    for child in children:
        child.end(deadline)
