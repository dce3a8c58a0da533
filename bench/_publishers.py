"""The process that plays devices, as a measurement holds it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench._load import Loaded
from bench._processes import ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench._load import Load


class Publishers:
    """Connected, with every message encoded; they wait for the word."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if self._line() != b"ready":
            raise SystemExit("the publishers could not connect")

    def start(self) -> None:
        """Go."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def wait(self) -> Loaded:
        """Wait for the last PUBACK; what came of it."""
        answer = self._line()
        if not answer:
            raise SystemExit("the publishers did not get through")
        found = json.loads(answer)
        return Loaded(**(found | {"latency_ms": tuple(found["latency_ms"])}))

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def publishers(load: Load) -> Iterator[Publishers]:
    """One process of publishers, ready."""
    command = [sys.executable, "-m", "bench._load", load.as_json()]
    with ended(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as process:
        yield Publishers(process)
