"""Publish to PUBACK, and the journal's commits, with 1,000 devices that send by the clock, whatever comes back."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench._agent import Setup, agent
from bench._load import Load
from bench._publishers import publishers
from bench._report import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench._load import Loaded

DEVICES: Final = 1000
SECONDS: Final = 10
RUNS: Final = 3
RATES: Final = (10_000, 20_000)
SHAPES: Final = (1, 8)
_UNDER_WAY: Final = 64
"""More than three seconds of a device at the highest rate: none waits with its next message for a PUBACK."""
_BUCKET: Final = 'bansui_agent_commit_seconds_bucket{kind="journal",le="'


@dataclass(frozen=True, slots=True)
class _Run:
    loaded: Loaded
    agent_cpu_s: float
    commit_s: float


def measure() -> Part:
    """One row a rate and shape."""
    columns = (
        "offered",
        "median",
        "p99",
        "longest",
        "of which sent late, p99",
        "journal commit, p99",
        "agent's share of a core",
        "load's",
    )
    return Part(columns=columns, rows=[_row(rate, fields) for fields in SHAPES for rate in RATES])


def _row(rate: int, fields: int) -> Sequence[str]:
    """The run whose p99 is the median one."""
    runs = sorted((_run(rate, fields) for _ in range(RUNS)), key=lambda run: run.loaded.latency_ms[1])
    run = runs[len(runs) // 2]
    loaded = run.loaded
    return (
        f"{rate:,} messages/s, {fields} field{'s' * (fields > 1)}",
        *(f"{milliseconds:.0f} ms" for milliseconds in loaded.latency_ms),
        f"{loaded.late_ms:.0f} ms",
        f"<= {1000 * run.commit_s:.0f} ms",
        f"{run.agent_cpu_s / loaded.seconds:.0%}",
        f"{loaded.cpu_s / loaded.seconds:.0%}",
    )


def _run(rate: int, fields: int) -> _Run:
    port = free_port()
    load = Load(
        port=port,
        devices=DEVICES,
        connections=DEVICES,
        fields=fields,
        messages=rate * SECONDS,
        under_way=_UNDER_WAY,
        rate=rate,
    )
    with (
        tempfile.TemporaryDirectory() as name,
        agent(Path(name), Setup(devices=DEVICES, listener=port)) as running,
        publishers(load) as devices,
    ):
        before = running.usage()
        devices.start()
        loaded = devices.wait()
        return _Run(loaded, running.usage().cpu_s - before.cpu_s, within(running.metrics(), 0.99))


def within(metrics: Mapping[str, float], share: float) -> float:
    """The lowest bound in seconds under which so large a share of the journal's commits stayed."""
    buckets = sorted(
        (float(name.removeprefix(_BUCKET).removesuffix('"}')), count)
        for name, count in metrics.items()
        if name.startswith(_BUCKET)
    )
    return next(bound for bound, count in buckets if count >= share * buckets[-1][1])
