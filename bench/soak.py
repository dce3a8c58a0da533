"""An hour of one agent at a steady rate, after a warm-up: how its memory, its open files and its threads move.

python -m bench.soak [--minutes N] [--write]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench._agent import Setup, agent
from bench._centre import centre
from bench._load import Load
from bench._processes import HOST, Others
from bench._publishers import publishers
from bench._report import Part, tell, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench._agent import Agent
    from bench._processes import Usage

ALONE: Final = True
"""It takes an hour."""
MINUTES: Final = 60.0
DEVICES: Final = 400
FIELDS: Final = 8
RATE: Final = 1_000
WARM_UP: Final = 1 / 3
"""Before it, as a part of it: the slope leaves out twenty minutes, in which windows close for the first time."""
_UNDER_WAY: Final = 500
_CONNECTIONS: Final = 100


def measure(minutes: float = MINUTES) -> Part:
    """One row."""
    warm_up, seconds = int(60 * minutes * WARM_UP), int(60 * minutes)
    listener, port = free_port(), free_port()
    load = Load(
        port=listener,
        devices=DEVICES,
        connections=_CONNECTIONS,
        fields=FIELDS,
        messages=RATE * (warm_up + seconds + 2),
        under_way=_UNDER_WAY,
        rate=RATE,
    )
    with tempfile.TemporaryDirectory() as name, centre(Path(name) / "centre", port):
        folder = Path(name) / "agent"
        folder.mkdir()
        setup = Setup(devices=DEVICES, listener=listener, centre=f"http://{HOST}:{port}")
        with agent(folder, setup) as running, publishers(load) as devices:
            devices.start()
            samples = _sample(running, warm_up + seconds)
            report = running.health()
    steady = samples[warm_up:]
    return Part(
        columns=(
            "load",
            "length",
            "slope of memory",
            "memory, first to last",
            "peak",
            "open files",
            "threads",
            "readings",
            "summaries at the centre",
        ),
        rows=[
            (
                f"{RATE:,} messages/s, {DEVICES} devices, {FIELDS} fields",
                f"{minutes:g} min",
                f"**{slope([sample.rss_mb for sample in steady]) * 3600:.2f} MB/h**",
                f"{steady[0].rss_mb:.1f} to {steady[-1].rss_mb:.1f} MB",
                f"{samples[-1].peak_mb:.1f} MB",
                _span([sample.files for sample in steady]),
                _span([sample.threads for sample in steady]),
                f"{report['received']:,}",
                f"{report['acknowledged']:,} of {report['summaries']:,}",
            )
        ],
        notes=[f"After a warm-up of {minutes * WARM_UP:g} min, which is left out; one sample a second."],
    )


def _sample(running: Agent, seconds: int) -> Sequence[Usage]:
    """One a second."""
    began, samples = time.monotonic(), []
    for second in range(seconds):
        samples.append(running.usage())
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))
    return samples


def _span(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def slope(values: Sequence[float]) -> float:
    """By how much they rise from one to the next: the least-squares line."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    above = sum((index - middle) * (value - mean) for index, value in enumerate(values))
    return above / sum((index - middle) ** 2 for index in range(len(values)))


def main(arguments: list[str]) -> int:
    """Measure, print, and write the README's part if asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="One agent at a steady rate.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long; 60 unless stated")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/README.md")
    options = parser.parse_args(arguments)
    others = Others()
    part = measure(options.minutes)
    tell(part)
    if options.write:
        write("soak", part, others.share())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
