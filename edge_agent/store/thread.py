"""The one thread that writes: transactions in, in order; word of each, when it is on disk, back to the loop."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol

import apsw

from edge_agent.events import Committed, Uncommitted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from edge_agent.store.commit_times import CommitTimes
    from edge_agent.transactions import Transaction, Written


class Committing(Protocol):
    """What the thread writes with."""

    def commit(self, transaction: Transaction) -> Written:
        """Write all of it or nothing. Raises `apsw.FullError` where there is no room."""
        ...


class StoreThread:
    """Owns the store's connection while the agent runs.

    `on_done` and `on_failed` are called on the loop. A transaction for which there is no room is undone, and may be
    submitted again. After any other failure, of the disk or of the program, nothing more is written: the agent has
    to end, since an fsync that failed says nothing of what reached the disk, and a thread that is gone commits nothing.
    """

    def __init__(
        self,
        store: Committing,
        loop: asyncio.AbstractEventLoop,
        on_done: Callable[[Committed | Uncommitted], None],
        on_failed: Callable[[BaseException], None],
        times: CommitTimes,
    ) -> None:
        self._store = store
        self._loop = loop
        self._on_done = on_done
        self._on_failed = on_failed
        self._times = times
        self._queue: queue.SimpleQueue[Transaction | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def submit(self, transaction: Transaction) -> None:
        """Write this after what was submitted before."""
        self._queue.put(transaction)

    def stop(self) -> None:
        """Finish what was submitted, then end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (transaction := self._queue.get()) is not None:
            done: Committed | Uncommitted
            started = self._loop.time()
            try:
                done = Committed(transaction, self._store.commit(transaction))
                self._times.add(transaction.kind, self._loop.time() - started)
            except apsw.FullError:
                done = Uncommitted(transaction)
            except BaseException as error:  # noqa: BLE001 - the thread's boundary: the loop has to know
                self._loop.call_soon_threadsafe(self._on_failed, error)
                return
            self._loop.call_soon_threadsafe(self._on_done, done)
