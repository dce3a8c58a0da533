"""What a reading costs the agent, and its memory, with 10 to 10,000 devices at the same rate of messages in all."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bansui.free_port import free_port
from bench._agent import Setup, agent
from bench._load import Load
from bench._pictures import curve
from bench._publishers import publishers
from bench._report import Part

SIZES: Final = (10, 100, 1_000, 10_000)
RATE: Final = 2_000
FIELDS: Final = 8
WARM_UP_S: Final = 10
MEASURED_S: Final = 60
"""A checkpoint's interval, so that the cost of one is in every figure."""
CONNECTIONS: Final = 10
"""Bridges: the same for every size, so that it is the devices that are counted."""
_UNDER_WAY: Final = 500


@dataclass(frozen=True, slots=True)
class Cost:
    """Of an agent with so many devices."""

    devices: int
    cpu_us: float
    """For each reading."""
    rss_mb: float
    peak_mb: float


def measure() -> Part:
    """One row a size, and how flat they are."""
    costs = [_cost(devices) for devices in SIZES]
    spread = max(cost.cpu_us for cost in costs) / min(cost.cpu_us for cost in costs)
    return Part(
        columns=("devices", "CPU per reading", "CPU per message", "memory", "peak memory"),
        rows=[
            (
                f"{cost.devices:,}",
                f"{cost.cpu_us:.2f} us",
                f"{cost.cpu_us * FIELDS:.1f} us",
                f"{cost.rss_mb:.0f} MB",
                f"{cost.peak_mb:.0f} MB",
            )
            for cost in costs
        ],
        notes=[f"Dearest to cheapest: **{spread:.2f}** (flat within 20 % is 1.20)."],
        picture=curve(
            "CPU time of a reading by the number of devices",
            "devices",
            "microseconds of CPU per reading",
            [(cost.devices, cost.cpu_us) for cost in costs],
        ),
        caption="CPU time of a reading by the number of devices",
    )


def _cost(devices: int) -> Cost:
    port = free_port()
    load = Load(
        port=port,
        devices=devices,
        connections=CONNECTIONS,
        fields=FIELDS,
        messages=RATE * (WARM_UP_S + MEASURED_S + 1),
        under_way=_UNDER_WAY,
        rate=RATE,
    )
    with (
        tempfile.TemporaryDirectory() as name,
        agent(Path(name), Setup(devices=devices, listener=port)) as running,
        publishers(load) as sensors,
    ):
        sensors.start()
        time.sleep(WARM_UP_S)
        before, received = running.usage(), running.received()
        time.sleep(MEASURED_S)
        after, readings = running.usage(), running.received() - received
        sensors.wait()
    print(f"   {devices:,} devices: {readings / MEASURED_S:,.0f} readings/s", flush=True)
    return Cost(devices, (after.cpu_s - before.cpu_s) / readings * 1e6, after.rss_mb, after.peak_mb)
