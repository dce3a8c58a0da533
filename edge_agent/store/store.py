"""The store as the core sees it: commit a transaction, and say after a start what was there."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import apsw

from edge_agent.counts import CountKey
from edge_agent.merging import MergeOrder
from edge_agent.store import engine, fittings, log_file, outbox, sessions, spending, summaries
from edge_agent.store.balance import balance_of
from edge_agent.store.ballast import Ballast
from edge_agent.store.journal import JournalWriter
from edge_agent.store.mending import Repaired, mend, open_or_mend
from edge_agent.store.recovery import is_past_known, read_recovered
from edge_agent.store.wear import bytes_written
from edge_agent.transactions import Kind, SealOrder, Transaction, Written
from telemetry.uplink_contract import BatchId

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.state import Recovered


class Store:
    """One agent's database. Every method is called on one thread."""

    def __init__(
        self,
        folder: Path,
        *,
        new_epoch: Callable[[], str],
        vfs: str | None = None,
        bytes_written: Callable[[], int] = bytes_written,
    ) -> None:
        """Open the store in `folder`, or make one. Raises `EnvironmentFault`.

        A file that is damaged is moved aside and a new one, with a new epoch, begun: an agent that does not start
        loses more than one that says what it lost.
        """
        self._folder = folder
        self._lock = engine.lock(folder)
        self._new_epoch = new_epoch
        self._vfs = vfs
        self._ballast = Ballast(folder)
        self._bytes_written = bytes_written
        self._written_before = bytes_written()
        self._has_failed = False
        try:
            self._connection = self._open_with_room()
            self.epoch = self._read_epoch()
            self._journal = JournalWriter(self._connection)
        except apsw.Error as error:
            os.close(self._lock)
            raise engine.unusable(folder, error) from None
        except BaseException:
            os.close(self._lock)
            raise

    def load(self, begin_ms: int) -> Recovered:
        """Everything a restart needs. Raises `EnvironmentFault`.

        A damaged store may have lost up to when windows were closed: it takes nothing for those that end at or before
        `begin_ms`, which may have been told, and counts what it had for them as lost.
        """
        try:
            if not is_past_known(self._connection):
                self._begin(begin_ms)
            recovered = read_recovered(self._connection)
            if recovered.spending.is_whole:
                return recovered
            with engine.transaction(self._connection):
                spending.begin_again(self._connection)
            return replace(recovered, spending=spending.read(self._connection))
        except apsw.Error as error:
            raise engine.unusable(self._folder, error) from None

    def rename_sessions(self, name_of: Callable[[str], str]) -> None:
        """Before the load: call sessions by other names than their client ids. Raises `EnvironmentFault`."""
        try:
            with engine.transaction(self._connection):
                sessions.rename(self._connection, name_of)
            self._journal = JournalWriter(self._connection)
        except apsw.Error as error:
            raise engine.unusable(self._folder, error) from None

    def _begin(self, begin_ms: int) -> None:
        recovered = read_recovered(self._connection)
        begun = replace(recovered, closed_until_ms=begin_ms)
        lost = balance_of(recovered)["open"] - balance_of(begun)["open"]
        counts = {CountKey("gap", reason="damaged"): lost} if lost else {}
        self.commit(Transaction(kind=Kind.CLOSE, counts=counts, closed_until_ms=begin_ms))

    def commit(self, transaction: Transaction) -> Written:
        """Write all of it or nothing; returns when it is on disk.

        Raises `apsw.FullError` where there is no room, after which it may be tried again, and `apsw.Error`.
        """
        try:
            with engine.transaction(self._connection):
                written = self._apply(transaction)
        except apsw.FullError:
            self._undone()
            raise
        except apsw.Error:
            self._has_failed = True
            raise
        self.epoch = transaction.epoch or self.epoch
        if transaction.kind is Kind.JOURNAL:
            return written
        if transaction.kind is Kind.CHECKPOINT:
            self._ballast.take()
        return replace(written, used_bytes=engine.used_bytes(self._connection))

    def _undone(self) -> None:
        """After a transaction for which there was no room."""
        self._journal = JournalWriter(self._connection)  # the one before knows numbers of what was just undone
        self._ballast.give_up()
        log_file.trim(self._folder / engine.LOG_NAME, self._connection, self._vfs)

    def _apply(self, transaction: Transaction) -> Written:
        connection = self._connection
        written = self._apply_to_outbox(transaction)
        self._journal.write(transaction, written.counts)
        summaries.add(connection, transaction.summaries)
        if transaction.closed_until_ms is not None:
            self._set("closed_until_ms", str(transaction.closed_until_ms))
        if transaction.turn is not None:
            self._set("turn", str(transaction.turn.number))
            self._set("told_until_ms", str(transaction.turn.told_until_ms))
        if transaction.fittings:
            self._set("fittings", fittings.pack(transaction.fittings))
        self._apply_to_spending(transaction)
        if transaction.checkpoint:
            self._journal.checkpoint(transaction.checkpoint, trims=transaction.trims_receipts)
            outbox.shorten_ledger(connection, transaction.ledger_before_ms)
            self._note_wear(transaction.ran_s)
        return written

    def _apply_to_spending(self, transaction: Transaction) -> None:
        """What a transaction spends of the privacy budget, and what it says of privacy time."""
        if transaction.spend is not None:
            spending.spend(self._connection, transaction.spend, transaction.summaries)
        if transaction.privacy_time is not None:
            spending.keep_time(self._connection, transaction.privacy_time)
        if transaction.counts_closed_ms is not None:
            spending.close_until(self._connection, transaction.counts_closed_ms)

    def _apply_to_outbox(self, transaction: Transaction) -> Written:
        """What a transaction does to summaries and batches that are there already."""
        connection = self._connection
        match transaction:
            case Transaction(kind=Kind.SEAL, seal=SealOrder() as order):
                return outbox.seal_batch(connection, order)
            case Transaction(kind=Kind.MARK, batch=BatchId() as batch):
                outbox.mark_acknowledged(connection, batch)
            case Transaction(kind=Kind.REFUSE, batch=BatchId() as batch):
                outbox.mark_refused(connection, batch)
                if transaction.epoch:
                    return outbox.begin_epoch(connection, transaction.epoch, None)
            case Transaction(kind=Kind.RECALL, batch=BatchId() as batch):
                return Written(batch=outbox.recall(connection, batch, transaction.head))
            case Transaction(kind=Kind.FORK):
                return outbox.begin_epoch(connection, transaction.epoch, transaction.told)
            case Transaction(kind=Kind.SHORTEN):
                outbox.shorten(connection, transaction.shorten_bytes)
            case Transaction(kind=Kind.MERGE, merge=MergeOrder() as merging):
                return outbox.merge(connection, merging)
        return Written()

    def _note_wear(self, ran_s: float) -> None:
        """Add up what the process has written to disks, and in how long: flash wears by it."""
        written, self._written_before = self._bytes_written() - self._written_before, self._bytes_written()
        for name, rise in (("written_bytes", written), ("ran_s", round(ran_s))):
            sql = """INSERT INTO meta VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET value = CAST(CAST(value AS INTEGER) + ?2 AS TEXT)"""
            self._connection.execute(sql, (name, str(rise)))

    @classmethod
    def repair(cls, folder: Path, new_epoch: Callable[[], str]) -> Repaired:
        """Move the store in `folder` aside and keep what can be read of it. Raises `EnvironmentFault`."""
        holder = engine.lock(folder)
        try:
            return mend(folder, new_epoch())
        except apsw.Error as error:
            raise engine.unusable(folder, error) from None
        finally:
            os.close(holder)

    def close(self) -> None:
        """Close the file and let the folder go; after a failure of the disk write nothing more."""
        if self._has_failed:
            engine.abandon(self._connection)
        else:
            engine.close_writer(self._connection)
        os.close(self._lock)

    def _open_with_room(self) -> apsw.Connection:
        """Open the store; on a disk that is full, with the room that was kept for this."""
        try:
            return open_or_mend(self._folder, self._new_epoch, self._vfs)
        except (apsw.FullError, apsw.IOError):
            if not self._ballast.give_up():
                raise
            return open_or_mend(self._folder, self._new_epoch, self._vfs)

    def _read_epoch(self) -> str:
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        if row is not None:
            return str(row[0])
        epoch = self._new_epoch()
        with engine.transaction(self._connection):
            self._set("epoch", epoch)
        return epoch

    def _set(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
