"""The tables of the agent's database, and how those of an earlier schema become today's, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

VERSION: Final = 5
"""`sum` is the CRC-32 of what a row says: SQLite itself does not look into its rows, and a disk may change them."""
SERIES_BITS: Final = 20
"""The number of a summary: the start of its window in milliseconds, and behind it, in so many bits, that of its series
in `line_series`. With 63 bits in all, starts end in the year 2248."""
APPLICATION_ID: Final = 0x42534149  # "BSAI"

_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE series (id INTEGER PRIMARY KEY, device TEXT NOT NULL, channel TEXT NOT NULL, quantity TEXT NOT NULL,
    UNIQUE (device, channel, quantity)) STRICT;
CREATE TABLE journal (position INTEGER PRIMARY KEY, runs BLOB NOT NULL, counts BLOB NOT NULL,
    receipts BLOB NOT NULL, exchanges BLOB NOT NULL DEFAULT x'', sum INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL, state BLOB NOT NULL,
    sum INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE counter (id INTEGER PRIMARY KEY, stage TEXT NOT NULL, device TEXT NOT NULL, reason TEXT NOT NULL,
    value INTEGER NOT NULL, UNIQUE (stage, device, reason)) STRICT;
CREATE TABLE receipt (position INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, packets INTEGER NOT NULL,
    marks BLOB NOT NULL) STRICT;
CREATE INDEX receipt_session ON receipt (session, position);
CREATE TABLE quarantine (driver TEXT NOT NULL, reason TEXT NOT NULL, length INTEGER NOT NULL, frames INTEGER NOT NULL,
    PRIMARY KEY (driver, reason, length)) STRICT, WITHOUT ROWID;
CREATE TABLE timetable_day (day INTEGER PRIMARY KEY, hours INTEGER NOT NULL) STRICT;
"""
_OUTBOX: Final = """
CREATE TABLE line_series (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE summary (id INTEGER PRIMARY KEY, fields TEXT NOT NULL, most INTEGER, sum INTEGER NOT NULL) STRICT;
CREATE INDEX summary_refused ON summary (most) WHERE most IS NOT NULL;
CREATE TABLE merged (id INTEGER PRIMARY KEY) STRICT;
"""
_BATCH: Final = """
CREATE TABLE batch (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL,
    state TEXT NOT NULL, body_sha256 BLOB NOT NULL, head BLOB NOT NULL, summaries INTEGER NOT NULL,
    sealed_ms INTEGER NOT NULL, oldest_ms INTEGER, body BLOB, UNIQUE (epoch, sequence)) STRICT;
"""
"""The body comes last: it stands on pages of its own, and their loss then costs nothing else."""
_EXCHANGE: Final = """
CREATE TABLE exchange (session TEXT NOT NULL, packet_id INTEGER NOT NULL, PRIMARY KEY (session, packet_id))
    STRICT, WITHOUT ROWID;
"""
_SPENDING: Final = """
CREATE TABLE spend (id INTEGER PRIMARY KEY, start_ms INTEGER NOT NULL UNIQUE, privacy_ms INTEGER NOT NULL,
    rho_nano INTEGER NOT NULL, sigma_milli INTEGER NOT NULL, lines_sha256 BLOB NOT NULL, head BLOB NOT NULL) STRICT;
CREATE TABLE privacy_clock (id INTEGER PRIMARY KEY CHECK (id = 1), privacy_ms INTEGER NOT NULL, wall_ms INTEGER,
    monotonic_ms INTEGER, closed_until_ms INTEGER NOT NULL, chained_from INTEGER NOT NULL, head BLOB NOT NULL,
    sum INTEGER NOT NULL) STRICT;
"""
_PRIVACY_CLOCK: Final = """
INSERT INTO privacy_clock VALUES (1, 0, NULL, NULL, 0, 1, zeroblob(32), crc32(0, NULL, NULL, 0, 1, zeroblob(32)))
"""
_MIGRATIONS: Final[Mapping[int, tuple[str, ...]]] = {
    2: (
        "ALTER TABLE journal ADD COLUMN exchanges BLOB NOT NULL DEFAULT x''",
        "ALTER TABLE journal ADD COLUMN sum INTEGER NOT NULL DEFAULT 0",
        "UPDATE journal SET sum = crc32(runs, counts, receipts, exchanges)",
        "ALTER TABLE checkpoint ADD COLUMN sum INTEGER NOT NULL DEFAULT 0",
        "UPDATE checkpoint SET sum = crc32(state)",
        _EXCHANGE,
        "ALTER TABLE summary RENAME TO summary_of_2",
        _OUTBOX,
        "INSERT INTO line_series (text) SELECT DISTINCT series FROM summary_of_2",
        f"""INSERT INTO summary SELECT start_ms << {SERIES_BITS} | line_series.id, substr(line, length(text) + 2,
            length(line) - length(text) - length(start_ms) - 2), most, crc32(line)
            FROM summary_of_2 JOIN line_series ON text = series WHERE batch IS NULL""",  # noqa: S608 - our own words
        "DROP TABLE summary_of_2",
        "ALTER TABLE batch RENAME TO batch_of_2",
        _BATCH,
        """INSERT INTO batch SELECT rowid, epoch, sequence, kind, state, body_sha256, head, summaries, sealed_ms,
           oldest_ms, body FROM batch_of_2""",
        "DROP TABLE batch_of_2",
    ),
    3: (_SPENDING, _PRIVACY_CLOCK),
    4: (
        """UPDATE checkpoint SET (state, sum) = (SELECT flat, crc32(flat) FROM (SELECT in_one_list(state) AS flat))
           WHERE sum = crc32(state)""",
    ),
}
"""By the schema it mends; each leads to the next."""


def sum_of(*parts: apsw.SQLiteValue) -> int:
    """The CRC-32 over all parts, as `sum` columns have it."""
    checked = 0
    for part in parts:
        checked = crc32(part if isinstance(part, bytes) else str(part).encode(), checked)
    return checked


def in_one_list(checkpoint: bytes) -> bytes:
    """A checkpoint in which each window has its values in one list: until schema 4, each was a list of its own.

    What is no checkpoint stays as it is, for whoever reads it to refuse.
    """
    try:
        document = msgspec.json.decode(checkpoint)
        for *_, windows in document["series"]:
            for window in windows:
                window[-1] = _flat(window[-1])
        for *_, lacking, late in document.get("late", {}).get("series", ()):
            for window in (*lacking, *late):
                window[-1] = _flat(window[-1])
    except (msgspec.DecodeError, TypeError, LookupError, ValueError):
        return checkpoint
    return msgspec.json.encode(document)


def _in_one_list(*checkpoint: apsw.SQLiteValue) -> apsw.SQLiteValue:
    """As SQL calls it."""
    (state,) = checkpoint
    return in_one_list(state) if isinstance(state, bytes) else state


def _flat(values: list[Any]) -> list[Any]:
    return [number for each in values for number in (each if isinstance(each, list) else (each,))]


def create(connection: apsw.Connection) -> None:
    """Make the tables in an empty database, in the transaction that is open."""
    connection.create_scalar_function("crc32", sum_of)
    connection.execute(_TABLES + _EXCHANGE + _OUTBOX + _BATCH + _SPENDING + _PRIVACY_CLOCK)
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", VERSION)


def can_migrate(found: int) -> bool:
    """Whether a database of this schema can become one of today's."""
    return all(version in _MIGRATIONS for version in range(found, VERSION))


def migrate(connection: apsw.Connection, found: int) -> None:
    """Bring a database from an earlier schema to today's, in the transaction that is open."""
    connection.create_scalar_function("crc32", sum_of)
    connection.create_scalar_function("in_one_list", _in_one_list)
    for version in range(found, VERSION):
        for statement in _MIGRATIONS[version]:
            connection.execute(statement)
    connection.pragma("user_version", VERSION)
