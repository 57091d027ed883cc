"""The partitioned layout of the index: the same tables, the large ones divided into many."""

from __future__ import annotations

import re
from typing import LiteralString

from psycopg import errors as sql_errors

from vna.errors import ConfigError
from vna.index.database import Connection, Database
from vna.index.sql import load

_MARKED = re.compile(r"^.*-- partitioned: ?(.*)$", re.MULTILINE)
_AHEAD = 5
"""Years of the audit trail, and blocks of changes, for which partitions are made in advance."""
_CHANGES_IN_A_BLOCK = 100_000_000
_MOST = 256
_OLDEST_SERVER = 170000
_LOCK_TIMEOUT = "2s"


def in_layout(text: LiteralString, *, is_partitioned: bool) -> LiteralString:
    """The schema or an upgrade as it is for that layout: `-- partitioned: TEXT` puts TEXT in place of its line."""
    return _MARKED.sub(r"\1", text) if is_partitioned else text


def partitions_of(connection: Connection) -> int:
    """Into how many partitions the instances of this database are divided; 0: it has plain tables."""
    row = connection.execute(load("queries/partitions_count")).fetchone()
    return 0 if row is None else int(row[0])


def check_partitions(connection: Connection, wanted: int, found: int | None) -> None:
    """Raises ConfigError where `wanted` can't be had: of this server, or in a database that has `found` already."""
    if wanted > _MOST:
        raise ConfigError(
            f"[database] partitions is {wanted}: every query looks into each, {_MOST} at most"
        )
    version = connection.info.server_version
    if wanted and found is None and version < _OLDEST_SERVER:
        raise ConfigError(
            f"[database] partitions needs Postgres {_OLDEST_SERVER // 10000} or newer, this is {version // 10000}"
        )
    if wanted and found is not None and wanted != found:
        layout = f"{found} partitions" if found else "plain tables"
        raise ConfigError(
            f"[database] partitions is {wanted}, but the database has {layout}: leave the key out, or move the rows "
            "into a new database (docs/scale.md)"
        )


def add_partitions(connection: Connection, partitions: int | None = None) -> None:
    """Make the partitions that are missing: all of a new database, `partitions` by hash, or those of the next years.

    What can't be made now is left to the next call: rows that belong to no other partition have one for themselves.
    """
    values = {"partitions": partitions, "ahead": _AHEAD, "block": _CHANGES_IN_A_BLOCK}
    for (statement,) in connection.execute(load("queries/partitions_missing"), values).fetchall():
        try:
            with connection.transaction():
                # Nobody who stores shall wait for this behind somebody who reads for hours.
                connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
                connection.execute(statement)
        except (sql_errors.LockNotAvailable, sql_errors.CheckViolation):
            if partitions is not None:
                raise


def tell_planner(database: Database) -> list[str]:
    """Have Postgres look at whole partitioned tables that have grown, as it does by itself with all others; returns
    the statements. Without that it takes a key of them for anything but unique. Raises Unavailable.
    """
    with database.connection() as connection:
        rows = connection.execute(load("queries/partitions_unknown")).fetchall()
        for (statement,) in rows:
            connection.execute(statement)
    return [statement for (statement,) in rows]
