"""The store as the core sees it: commit a transaction, and say after a start what was there."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import apsw

from edge_agent.store import engine, outbox
from edge_agent.store.journal import JournalWriter
from edge_agent.store.recovery import check_readable, read_recovered
from edge_agent.transactions import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.state import Recovered
    from edge_agent.transactions import SealedBatch, Transaction

_log = logging.getLogger(__name__)


class Store:
    """One agent's database. Every method is called on one thread."""

    def __init__(self, folder: Path, *, new_epoch: Callable[[], str], vfs: str | None = None) -> None:
        """Open the store in `folder`, or make one. Raises `EnvironmentFault`.

        A file that is damaged is moved aside and a new one, with a new epoch, begun: an agent that does not start
        loses more than one that says what it lost.
        """
        self._folder = folder
        self._lock = engine.lock(folder)
        self._new_epoch = new_epoch
        try:
            self._connection = self._open(vfs)
            self.epoch = self._read_epoch()
            self._journal = JournalWriter(self._connection)
        except apsw.Error as error:
            os.close(self._lock)
            raise engine.unusable(folder, error) from None
        except BaseException:
            os.close(self._lock)
            raise

    def load(self) -> Recovered:
        """Everything a restart needs."""
        return read_recovered(self._connection)

    def commit(self, transaction: Transaction) -> SealedBatch | None:
        """Write all of it or nothing; returns when it is on disk. Raises `apsw.Error`.

        What is returned is the batch that a seal made, if it made one.
        """
        batch = None
        with self._connection:
            self._journal.write(transaction)
            outbox.add_summaries(self._connection, transaction.summaries)
            if transaction.closed_until_ms is not None:
                self._set("closed_until_ms", str(transaction.closed_until_ms))
            match transaction.kind:
                case Kind.SEAL:
                    assert transaction.seal is not None
                    batch = outbox.seal_batch(self._connection, self.epoch, transaction.seal)
                case Kind.MARK:
                    outbox.mark_acknowledged(self._connection, self.epoch, transaction.sequence)
                case Kind.REFUSE:
                    outbox.mark_refused(self._connection, self.epoch, transaction.sequence)
                case Kind.FORK:
                    outbox.begin_epoch(self._connection, transaction.epoch)
                case Kind.CHECKPOINT:
                    self._journal.checkpoint(transaction.checkpoint)
                    outbox.shorten_ledger(self._connection, transaction.ledger_before_ms)
                case _:
                    pass
        if transaction.kind is Kind.FORK:
            self.epoch = transaction.epoch
        return batch

    def free_bytes(self) -> int:
        """Room left on the store's disk."""
        stats = os.statvfs(self._folder)
        return stats.f_bavail * stats.f_frsize

    def close(self) -> None:
        """Close the file and let the folder go."""
        self._connection.close()
        os.close(self._lock)

    def _open(self, vfs: str | None) -> apsw.Connection:
        try:
            return self._open_whole(vfs)
        except (apsw.CorruptError, apsw.NotADBError, ValueError, LookupError) as error:
            aside = f"{engine.FILE_NAME}.corrupt-{time.time_ns()}"
            _log.error("the store is damaged (%s): moved aside as %s, a new one begun", type(error).__name__, aside)
            for suffix in ("", "-wal", "-shm"):
                damaged = self._folder / f"{engine.FILE_NAME}{suffix}"
                if damaged.exists():
                    damaged.rename(self._folder / f"{aside}{suffix}")
            engine.sync_folder(self._folder)
            return self._open_whole(vfs)

    def _open_whole(self, vfs: str | None) -> apsw.Connection:
        """Open the file and see that everything in it can be read: SQLite does not look into its blobs."""
        connection = engine.open_writer(self._folder, vfs=vfs)
        try:
            check_readable(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_epoch(self) -> str:
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        if row is not None:
            return str(row[0])
        epoch = self._new_epoch()
        with self._connection:
            self._set("epoch", epoch)
        return epoch

    def _set(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
