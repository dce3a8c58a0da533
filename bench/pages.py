"""Server time of each page and size of its scripts, with a district of 100 schools and 60 rooms each, mid-morning."""

from __future__ import annotations

import asyncio
import gzip
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from cloud_sink.app import build_app
from cloud_sink.catalogue import Seen
from cloud_sink.centre import open_centre
from cloud_sink.config import load_config
from cloud_sink.pages import STATIC
from cloud_sink.store import Projected
from telemetry import ManualClock, Series, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud_sink.centre import Centre

_SCHOOLS: Final = 100
_ROOMS: Final = 60
_QUARTERS: Final = 20
_ROUNDS: Final = 15
_NOON_MS: Final = 1_760_241_600_000
_QUARTER_MS: Final = 900_000
_PAGES: Final = {"Overview": "/", "School": "/school/s-050", "Room": "/school/s-050/room/a-010"}
_QUANTITIES: Final = {"carbon_dioxide": 600, "temperature": 2150, "humidity": 480}
_TARGET_MS: Final = 200
_TARGET_KB: Final = 100


def measure() -> None:
    """Print both, beside their targets."""
    asyncio.run(_measure())
    scripts = [STATIC / "charts.js", STATIC / "live.js", STATIC / "vendor" / "uPlot.esm.js"]
    size = sum(len(gzip.compress(script.read_bytes(), 9)) for script in scripts if script.is_file()) / 1000
    print(f"  scripts        {size:6.1f} kB gzip          target {_TARGET_KB}")


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_config(_write_config(Path(folder)))
        async with open_centre(loaded, ManualClock(_NOON_MS + 240_000)) as centre:
            for position, quarter in enumerate(range(-_QUARTERS, 0), start=1):
                await _tell(centre, position, list(_quarter(quarter)))
            transport = httpx.ASGITransport(build_app(centre))
            async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
                for name, path in _PAGES.items():
                    await _time(client, name, path)


async def _time(client: httpx.AsyncClient, name: str, path: str) -> None:
    took = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        (await client.get(path)).raise_for_status()
        took.append((time.perf_counter() - started) * 1000)
    print(f"  {name:14} {statistics.median(took):6.0f} ms median, {max(took):4.0f} worst   target {_TARGET_MS}")


async def _tell(centre: Centre, position: int, summaries: list[Summary]) -> None:
    """What the projector does with a batch, without the inbox before it."""
    if position == 1:
        await centre.catalogue.register(_seen(summaries))
    batch = [Projected("edge-000", summaries)]
    await centre.store.append(position, batch)
    centre.memory.take(batch, centre.clock.now())


def _seen(summaries: list[Summary]) -> list[Seen]:
    return list({Seen.of(f"edge-{summary.series.school[2:]}", summary.series) for summary in summaries})


def _quarter(quarter: int) -> Iterator[Summary]:
    for school in range(_SCHOOLS):
        for room in range(_ROOMS):
            code = f"{'abc'[room // 20]}-{room:03}"
            for name, level in _QUANTITIES.items():
                series = Series(name, f"s-{school:03}", code[0], code, f"co2-{code}", 900)
                fields = {"mean": level + (school + room * quarter) % 500, "n": 15, "expected": 15}
                yield Summary(series, _NOON_MS + quarter * _QUARTER_MS, fields)


def _write_config(folder: Path) -> Path:
    zeros = "0" * 64
    tables = ['[centre]\ntimezone = "Asia/Shanghai"\n[centre.district]\ncode = "d"\nname_zh = "区"\nname_en = "D"\n']
    for school in range(_SCHOOLS):
        code = f"s-{school:03}"
        tables.append(f'[[school]]\ncode = "{code}"\nname_zh = "{code}"\nname_en = "{code}"\n')
        tables.append(f'[[agent]]\nid = "edge-{school:03}"\nschool = "{code}"\ntoken_hash = "sha256:{zeros}"\n')
    path = folder / "centre.toml"
    path.write_text("".join(tables), encoding="utf-8")
    return path
