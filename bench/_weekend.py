"""An agent that was without its centre for 72 hours: 2,000 series, for the measurements that begin there."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench._agent import NOWHERE, Setup
from bench._filling import fill

if TYPE_CHECKING:
    from bench._filling import Filled

HOURS: Final = 72
DEVICES: Final = 250
FIELDS: Final = 8
ENDS_MS: Final = 1_760_317_200_000
"""2025-10-13 09:00 in Shanghai."""
SPEED: Final = 60.0
"""Of the time that agent and centre share from then on: a window of 15 minutes closes every 15 seconds."""


def copy_to(folder: Path) -> Filled:
    """Put such an agent's store into `folder`; it is made once in a run of measurements."""
    made, filled = _made()
    shutil.copytree(Path(made.name) / "state", folder / "state")
    return filled


@cache
def _made() -> tuple[tempfile.TemporaryDirectory[str], Filled]:
    print(f"   making a backlog of {HOURS} h ...", flush=True)
    folder = tempfile.TemporaryDirectory()
    config = setup(listener=1883).write(Path(folder.name))
    return folder, fill(config, devices=DEVICES, fields=FIELDS, minutes=HOURS * 60, ends_ms=ENDS_MS)


def setup(*, listener: int, centre: str = NOWHERE) -> Setup:
    """The agent's configuration; its clock goes on where the backlog ends."""
    return Setup(devices=DEVICES, listener=listener, centre=centre, options=("--clock", clock_from_now()))


def clock_from_now() -> str:
    """Time that goes on where the backlog ends."""
    return f"{ENDS_MS},{time.time_ns() // 1_000_000},{SPEED}"
