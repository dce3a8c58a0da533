"""From the start of the agent's process to the PUBACK of a device's first message, without and with a backlog."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench import _weekend as weekend
from bench._agent import spawned
from bench._load import connect, payload, publish_packet, topic
from bench._report import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNS: Final = 7
_TRY_EVERY_S: Final = 0.005
_GIVE_UP_S: Final = 60
_PUBACK: Final = b"\x40\x02\x00\x01"


def measure() -> Part:
    """One row a store."""
    with tempfile.TemporaryDirectory() as name:
        empty, full = Path(name) / "empty", Path(name) / "full"
        empty.mkdir()
        full.mkdir()
        summaries = weekend.copy_to(full).summaries
        rows = [
            _row("empty store", [_start(empty, is_fresh=True) for _ in range(RUNS)]),
            _row(f"{weekend.HOURS} h backlog, {summaries:,} summaries", [_start(full) for _ in range(RUNS)]),
        ]
    return Part(columns=("store", "median", "longest"), rows=rows)


def _row(name: str, seconds: Sequence[float]) -> Sequence[str]:
    return (name, f"**{median(seconds):.2f} s**", f"{max(seconds):.2f} s")


def _start(folder: Path, *, is_fresh: bool = False) -> float:
    """Seconds of one start; a fresh one finds no store."""
    if is_fresh:
        for file in (folder / "state").glob("*"):
            file.unlink()
    port = free_port()
    setup = weekend.setup(listener=port)
    config = setup.write(folder)
    message = publish_packet(topic(0), 1, payload(0, weekend.FIELDS))
    began = time.perf_counter()
    with spawned(config, *setup.options):
        while time.perf_counter() - began < _GIVE_UP_S:
            with contextlib.suppress(ConnectionRefusedError), connect(port, "first") as device:
                device.sendall(message)
                if device.recv(4) == _PUBACK:
                    return time.perf_counter() - began
            time.sleep(_TRY_EVERY_S)
    raise SystemExit("the agent did not acknowledge a message")
