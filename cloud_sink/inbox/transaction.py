"""One transaction of the inbox."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw


@contextlib.contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All of the block's statements or none; committed when it ends.

    With no room left SQLite may have undone everything by itself ("Result Codes", SQLITE_FULL): apsw's own context
    would then say that there is nothing to undo, and not that the disk is full.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
