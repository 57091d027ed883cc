"""Makes the tokens of person names for rows that have none: those of an older archive or token scheme."""

from __future__ import annotations

import logging
import time
from typing import LiteralString

from vna.dicom.person_names import SCHEME, names_by_key
from vna.index.database import Connection, Database
from vna.index.jsonb import to_jsonb
from vna.index.sql import load

log = logging.getLogger(__name__)

BATCH = 500
_LOCK = 0x766E6170  # one node at a time; the others go on, what has no tokens is matched literally
_REPORT_EVERY = 30.0
_TABLES: tuple[LiteralString, ...] = ("study", "series")


def fill_person_names(database: Database) -> int:
    """Make all missing tokens and return for how many rows; 0 at once while another node does it.

    Each batch is a transaction: killed at any moment it goes on where it was. It takes minutes for a
    million studies, with a line in the log every half. Raises Unavailable.
    """
    with database.connection() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if row is None or not row[0]:
            return 0
        try:
            _forget_other_scheme(connection)
            return sum(_fill(connection, table) for table in _TABLES)
        finally:
            if not connection.broken:
                connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _forget_other_scheme(connection: Connection) -> None:
    """Tokens that were made in another way are found by nobody: none are better, they get made."""
    row = connection.execute("SELECT scheme FROM person_name_scheme").fetchone()
    if row is not None and row[0] == SCHEME:
        return
    with connection.transaction():
        if row is not None:
            connection.execute(
                "UPDATE study SET person_names = NULL WHERE person_names IS NOT NULL"
            )
            connection.execute(
                "UPDATE series SET person_names = NULL WHERE person_names IS NOT NULL"
            )
        connection.execute("DELETE FROM person_name_scheme")
        connection.execute("INSERT INTO person_name_scheme (scheme) VALUES (%s)", [SCHEME])


def _fill(connection: Connection, table: LiteralString) -> int:
    filled, reported = 0, time.monotonic()
    while (count := _fill_batch(connection, table)) > 0:
        filled += count
        if time.monotonic() - reported > _REPORT_EVERY:
            reported = time.monotonic()
            log.info("making person names searchable", extra={"table": table, "rows": filled})
    if filled:
        log.info("person names are searchable", extra={"table": table, "rows": filled})
        connection.execute("ANALYZE study" if table == "study" else "ANALYZE series")
    return filled


def _fill_batch(connection: Connection, table: LiteralString) -> int:
    with connection.transaction():
        rows = connection.execute(load(f"queries/unnamed_{table}"), [BATCH]).fetchall()
        names = [to_jsonb(names_by_key(*levels)) for _, *levels in rows]
        if rows:
            connection.execute(load(f"queries/name_{table}"), [[row[0] for row in rows], names])
    return len(rows)
