"""Gives the sessions on disk other names: an earlier version kept the client ids themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.store import records
from edge_agent.store.schema import sum_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

_OLD: Final = "instr(session, '/') > 0"
"""Login and client id were joined with one; a name has none."""


def rename(connection: apsw.Connection, name_of: Callable[[str], str]) -> None:
    """Rename every session that is called by its client id, in the transaction that is open."""

    def named(session: str) -> str:
        return name_of(session) if "/" in session else session

    for table in ("receipt", "exchange"):
        for (session,) in list(connection.execute(f"SELECT DISTINCT session FROM {table} WHERE {_OLD}")):  # noqa: S608 - our own words
            sql = f"UPDATE {table} SET session = ? WHERE session = ?"  # noqa: S608 - our own words
            connection.execute(sql, (named(session), session))
    for position, runs, counts, receipts, exchanges in list(
        connection.execute("SELECT position, runs, counts, receipts, exchanges FROM journal")
    ):
        marks = {named(name): packed for name, packed in records.unpack_receipts(receipts)}
        steps = {named(name): list(taken) for name, taken in records.unpack_exchanges(exchanges)}
        packed = (
            runs,
            counts,
            records.pack_receipts(marks) if marks else b"",
            records.pack_exchanges(steps) if steps else b"",
        )
        if packed != (runs, counts, receipts, exchanges):
            sql = "UPDATE journal SET receipts = ?, exchanges = ?, sum = ? WHERE position = ?"
            connection.execute(sql, (*packed[2:], sum_of(*packed), position))
