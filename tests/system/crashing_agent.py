"""An agent that kills itself (SIGKILL, no clean-up) at one named boundary of the durable path.

    python -m tests.system.crashing_agent --config F --clock C --boundary before:seal --nth 2 --hits FILE

It is the real agent in a process of its own; only its seams (disk, network, the word back to devices) are wrapped.
The boundary is written to the hits file just before the end.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import httpx

from edge_agent.agent import Agent, Seams
from edge_agent.config_file import load
from edge_agent.transactions import Kind
from telemetry import parse_clock
from tests.system.executioner import Executioner

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.events import Acknowledge
    from edge_agent.store import Store
    from edge_agent.transactions import Transaction, Written

STEPS: Final = ("commit", "acknowledge", "seal", "send", "mark")
BOUNDARIES: Final = tuple(f"{side}:{step}" for step in STEPS for side in ("before", "after"))
_STEP_OF: Final = {Kind.JOURNAL: "commit", Kind.SEAL: "seal", Kind.MARK: "mark"}


class CrashingStore:
    """The real store; commits of the chosen kind have a boundary before and after."""

    def __init__(self, store: Store, executioner: Executioner) -> None:
        self._store = store
        self._executioner = executioner

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, transaction: Transaction) -> Written:
        """As the real one."""
        step = _STEP_OF.get(transaction.kind)
        if step is None:
            return self._store.commit(transaction)
        with self._executioner.around(step):
            return self._store.commit(transaction)


class CrashingTransport(httpx.AsyncHTTPTransport):
    """The real network; a request has a boundary before it leaves and after its answer came."""

    def __init__(self, executioner: Executioner) -> None:
        super().__init__(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # as the agent's own, without TLS
        self._executioner = executioner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As the real one."""
        with self._executioner.around("send"):
            return await super().handle_async_request(request)


def seams(executioner: Executioner) -> Seams:
    """The agent's seams with boundaries in them."""

    def wrap_acknowledge(call: Callable[[Acknowledge], None]) -> Callable[[Acknowledge], None]:
        def acknowledge(effect: Acknowledge) -> None:
            with executioner.around("acknowledge"):
                call(effect)

        return acknowledge

    return Seams(
        wrap_store=lambda store: cast("Store", CrashingStore(store, executioner)),
        transport=CrashingTransport(executioner),
        wrap_acknowledge=wrap_acknowledge,
    )


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
    agent = Agent(load(arguments.config), parse_clock(arguments.clock), seams(executioner))
    asyncio.run(agent.run(asyncio.Event()))


if __name__ == "__main__":
    main()
