"""What every part of a measurement is made of: processes that end, what they use, and waiting for them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

HOST: Final = "127.0.0.1"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far, and how it stands."""

    cpu_s: float
    peak_mb: float
    rss_mb: float
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Read it from /proc."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
        return cls(
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
            peak_mb=int(status["VmHWM"]) / 1024,
            rss_mb=int(status["VmRSS"]) / 1024,
            threads=int(status["Threads"]),
            files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        )


class Others:
    """What the rest of the machine does meanwhile: with it, a figure is worth less."""

    def __init__(self) -> None:
        self._began = self._read()

    def share(self) -> float:
        """The part of the machine's time since the beginning that neither stood idle nor was ours.

        Ours are this process and those of its children that have ended.
        """
        all_s, idle_s, own_s = (now - before for now, before in zip(self._read(), self._began, strict=True))
        return max(0.0, all_s - idle_s - own_s) / all_s

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Seconds of all cores, of them idle, and of this process and its children."""
        ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(ticks) / _TICKS, (ticks[3] + ticks[4]) / _TICKS, sum(os.times()[:4])


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which is gone when the block is left."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def until(predicate: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait until it is true; end the measurement, naming `what`, when that takes too long."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((HOST, port), 0.5).close()
    except OSError:
        return False
    return True
