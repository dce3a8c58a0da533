"""72 hours of 2,000 series without a centre: memory, how fast they drain, how far live data is behind meanwhile."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench import _weekend as weekend
from bench._agent import agent
from bench._centre import arrived, centre
from bench._load import Load, payload
from bench._processes import HOST, until
from bench._publishers import publishers
from bench._report import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench._centre import Arrived
    from bench._filling import Filled

RATE: Final = weekend.DEVICES
"""Messages a second, each device once a second: once a minute in the time that agent and centre share."""
_AT_REST_S: Final = 10
_GIVE_UP_S: Final = 600
_A_BATCH: Final = 4000
_LATENESS_MS: Final = 120_000


def measure() -> Part:
    """One row."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "agent").mkdir()
        filled = weekend.copy_to(Path(name) / "agent")
        print(f"   draining {filled.summaries:,} summaries ...", flush=True)
        return _drain(Path(name), filled)


def _drain(folder: Path, filled: Filled) -> Part:
    listener, port = free_port(), free_port()
    setup = weekend.setup(listener=listener, centre=f"http://{HOST}:{port}")
    load = Load(
        port=listener,
        devices=weekend.DEVICES,
        connections=weekend.DEVICES,
        fields=weekend.FIELDS,
        messages=RATE * _GIVE_UP_S,
        under_way=10 * RATE,
        rate=RATE,
    )
    with agent(folder / "agent", setup) as running, publishers(load) as devices:
        received = running.received()
        devices.start()
        time.sleep(_AT_REST_S)
        rest = running.usage()
        with centre(folder / "centre", port, *setup.options):
            until(lambda: running.health()["waiting"] < _A_BATCH, "the backlog has drained", _GIVE_UP_S)
            peak, live = running.usage(), running.received() - received
            used = peak.cpu_s - rest.cpu_s
        batches = arrived(folder / "centre")
    seconds = (batches[-1].received_ms - batches[0].received_ms) / 1000 / weekend.SPEED
    sent = sum(batch.size for batch in batches)
    raw = filled.payload_bytes + live // weekend.FIELDS * len(payload(0, weekend.FIELDS))
    behind = list(behind_s(batches))
    return Part(
        columns=(
            "backlog",
            "memory at rest",
            "peak",
            "drained in",
            "x real time",
            "summaries/s",
            "agent's CPU",
            "live data behind, longest",
            "uplink of raw payload",
        ),
        rows=[
            (
                f"{weekend.HOURS} h, {weekend.DEVICES * weekend.FIELDS:,} series, {filled.summaries:,} summaries",
                f"{rest.rss_mb:.0f} MB",
                f"{peak.peak_mb:.0f} MB",
                f"{seconds:.0f} s",
                f"**{weekend.HOURS * 3600 / seconds:,.0f}**",
                f"{sum(len(batch.summaries) for batch in batches) / seconds:,.0f}",
                f"{used:.0f} s",
                f"{max(behind, default=0):.1f} s of {len(behind):,} summaries",
                f"{sent / raw:.2%}",
            )
        ],
    )


def behind_s(batches: Iterable[Arrived]) -> Iterable[float]:
    """Of each summary whose window ended after the backlog: seconds of the machine's clock from the moment the window
    could close to the centre's inbox.
    """
    for batch in batches:
        for summary in batch.summaries:
            end_ms = summary.start_ms + summary.series.window_s * 1000
            if end_ms > weekend.ENDS_MS:
                yield (batch.received_ms - end_ms - _LATENESS_MS) / 1000 / weekend.SPEED
