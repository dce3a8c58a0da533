"""The inbox's tables, their version, and how an earlier file is brought up to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloud_sink.inbox.transaction import transaction
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

VERSION: Final = 5
_TABLES: Final = """
CREATE TABLE mark (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    lines INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    from_ms INTEGER,
    to_ms INTEGER,
    UNIQUE (agent, epoch, sequence)
) STRICT;
CREATE TABLE body (position INTEGER PRIMARY KEY REFERENCES mark, bytes BLOB NOT NULL) STRICT;
CREATE TABLE epoch (
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    applied INTEGER NOT NULL,
    head BLOB NOT NULL,
    touched INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch)
) STRICT;
CREATE TABLE tally (
    agent TEXT PRIMARY KEY,
    batches INTEGER NOT NULL,
    reports INTEGER NOT NULL,
    lines INTEGER NOT NULL
) STRICT;
CREATE TABLE note (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE copy (agent TEXT PRIMARY KEY, noticed_ms INTEGER NOT NULL) STRICT;
"""
TALLIED: Final = "SELECT agent, sum(kind = 'summaries'), sum(kind = 'report'), sum(lines) FROM mark GROUP BY agent"
"""What the marks say of each agent: marks stay for good, and nobody counts them all but at a start."""
_STEPS: Final[Mapping[int, str]] = {
    # What the batches of version 1 span stays unknown: to unpack a day of them would take minutes.
    1: "ALTER TABLE mark ADD COLUMN from_ms INTEGER; ALTER TABLE mark ADD COLUMN to_ms INTEGER;",
    2: "CREATE TABLE note (name TEXT PRIMARY KEY) STRICT;",
    3: "CREATE TABLE copy (agent TEXT PRIMARY KEY, noticed_ms INTEGER NOT NULL) STRICT;",
    4: f"""CREATE TABLE tally (agent TEXT PRIMARY KEY, batches INTEGER NOT NULL, reports INTEGER NOT NULL,
               lines INTEGER NOT NULL) STRICT; INSERT INTO tally {TALLIED};""",
}
"""From each earlier version to the one after it."""


class InboxTooNew(EnvironmentFault):
    """A later version of the centre has written this inbox."""

    code = "inbox_too_new"


def bring_up_to_date(connection: apsw.Connection, where: str) -> None:
    """Make the tables, or give an earlier file what it lacks, in one transaction. Raises `InboxTooNew`."""
    found = connection.pragma("user_version")
    if found == VERSION:
        return
    if found > VERSION:
        raise InboxTooNew(
            f"the inbox has schema {found}; this centre knows {VERSION}",
            where=where,
            fix="install the version of the centre that wrote it, or a newer one",
        )
    with transaction(connection):
        if found == 0 and not _has_tables(connection):
            connection.execute(_TABLES)
        else:
            for version in range(found or 1, VERSION):  # version 1 said 0
                connection.execute(_STEPS[version])
        connection.pragma("user_version", VERSION)


def _has_tables(connection: apsw.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'mark'").fetchone() is not None
