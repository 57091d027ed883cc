"""When upgrades apply that older versions of the archive can't live with: who is there still."""

from __future__ import annotations

from vna.index.database import Connection, Database
from vna.index.sql import load

BATCH = 20
"""Series whose instances are rewritten in one transaction."""


def is_post(name: str) -> bool:
    """Whether the upgrade `name` waits until no older version serves any more."""
    return name[4:].startswith("_post_")


def older_connections(connection: Connection, version: int) -> int:
    """How many connections archives have open that know no schema of `version` or above."""
    row = connection.execute(load("queries/older_connections"), [version]).fetchone()
    return 0 if row is None else int(row[0])


class Rewriting:
    """What older versions have stored, made as short as what is stored now. Shared by threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        """Rewrite the instances of some series in one transaction; how many series, 0: there are none (any more), or
        another process is at it. Harmless to cut off. Raises Unavailable.
        """
        row = self._database.attempt(
            lambda c: c.execute(load("queries/rewrite_instances"), [BATCH]).fetchone()
        )
        return 0 if row is None else int(row[0])
