"""Appends to a store in a folder whose disk it fills itself, until there is no room; then makes room and goes on.

    python -m tests.cloud_sink.full_store FOLDER

Prints how many batches were stored, and as JSON how many rows there are. Run on a small disk of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloud_sink.store import Projected, StoreFull
from cloud_sink.store_duckdb import DuckDbStore
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, summary

if TYPE_CHECKING:
    from telemetry import Summary

LINES = 2000
_PIECE = bytes(1 << 16)


def fill(filler: Path) -> None:
    """Take what room is left."""
    try:
        with filler.open("ab", buffering=0) as file:
            while file.write(_PIECE):
                pass
    except OSError:
        return


async def main(folder: Path) -> None:
    """Until there is no room, twice, and then some."""
    store, filler, position, full = DuckDbStore(folder / "summaries.duckdb"), folder / "filler", 0, 0
    while full < 2:
        fill(filler)
        try:
            await store.append(position + 1, [Projected("edge-1", batch(position + 1))])
            position += 1
        except StoreFull:
            full += 1
            assert await store.position() == position
    filler.unlink()
    await store.append(position + 1, [Projected("edge-1", batch(position + 1))])
    counts = await store.counts()
    print(json.dumps({"batches": position + 1, "rows": counts["edge-1"].rows, "distinct": counts["edge-1"].distinct}))
    await store.close()


def batch(number: int) -> list[Summary]:
    """Summaries that no other batch has."""
    return [summary(start_ms=NOON_MS + number * QUARTER_MS, device=f"co2-{line}") for line in range(LINES)]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
