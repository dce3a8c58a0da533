"""A centre that kills itself (SIGKILL, no clean-up) at one named boundary of a batch's way into the store.

    python -m tests.system.crashing_centre --config F --clock C --boundary before:store --nth 2 --hits FILE

It is the real centre in a process of its own; only inbox and store are wrapped. The boundary is written to the hits
file just before the end.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from cloud_sink.centre import Seams
from cloud_sink.config import load_config
from cloud_sink.server import serve
from telemetry import parse_clock
from tests.system.executioner import Executioner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.inbox import Batch, Inbox, Receipt
    from cloud_sink.store import Projected, Store

BOUNDARIES: Final = ("before:inbox", "after:inbox", "before:store", "after:store")


class CrashingInbox:
    """The real inbox; a commit has a boundary before and after: after it, nobody has been told."""

    def __init__(self, inbox: Inbox, executioner: Executioner) -> None:
        self._inbox = inbox
        self._executioner = executioner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inbox, name)

    async def commit(self, batch: Batch) -> Receipt:
        """As the real one."""
        with self._executioner.around("inbox"):
            return await self._inbox.commit(batch)


class CrashingStore:
    """The real store; an append has a boundary before and after: before it, the batch stands in the inbox alone."""

    def __init__(self, store: Store, executioner: Executioner) -> None:
        self._store = store
        self._executioner = executioner

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def append(self, position: int, batches: Sequence[Projected]) -> None:
        """As the real one."""
        with self._executioner.around("store"):
            await self._store.append(position, batches)


def main() -> None:
    """Run until the boundary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--clock", required=True)
    parser.add_argument("--boundary", choices=BOUNDARIES, required=True)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--hits", type=Path, required=True)
    arguments = parser.parse_args()
    executioner = Executioner(arguments.boundary, arguments.nth, arguments.hits)
    seams = Seams(
        wrap_inbox=lambda inbox: cast("Inbox", CrashingInbox(inbox, executioner)),
        wrap_store=lambda store: cast("Store", CrashingStore(store, executioner)),
    )
    loaded, clock = load_config(arguments.config), parse_clock(arguments.clock)
    asyncio.run(serve(loaded, clock, lambda url: print(f"listening on {url}", flush=True), seams))


if __name__ == "__main__":
    main()
