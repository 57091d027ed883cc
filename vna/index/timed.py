"""Searches that may take only so long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from psycopg import errors as sql_errors

from vna.errors import TooBroad, Unavailable
from vna.index.database import Connection


def limit_time(connection: Connection, seconds: float) -> None:
    """Let no statement of the present transaction take longer than `seconds`."""
    connection.execute(
        "SELECT set_config('statement_timeout', %s, true)", [str(max(1, int(seconds * 1000)))]
    )


@contextlib.contextmanager
def too_broad(seconds: float) -> Iterator[None]:
    """Raise TooBroad for what Postgres gave up because of the limit."""
    try:
        yield
    except Unavailable as exc:
        if not isinstance(exc.__cause__, sql_errors.QueryCanceled):
            raise
        raise TooBroad(
            f"the search was given up after {seconds:g} s; narrow it: by a date, a patient, a study"
        ) from exc
