"""Brings procrastinate's own tables to the version of the installed package."""

from __future__ import annotations

from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString, cast

from vna.errors import ConfigError
from vna.index.database import Connection

PREFIX = "procrastinate "


def migration_names() -> list[str]:
    """The migrations of the installed package, in the order in which they apply."""
    return sorted(path.stem for path in (_folder() / "migrations").glob("*.sql"))


def pending(connection: Connection) -> list[str]:
    """What is missing, each name behind PREFIX; nothing where the tables are not there at all."""
    applied = _applied(connection)
    if not applied:
        return []
    _check_newer(applied)
    return [PREFIX + name for name in migration_names() if name not in applied]


def upgrade_jobs(connection: Connection) -> list[str]:
    """Make the tables, or apply what is missing; returns as `pending` does. The caller lets nobody else in.

    Raises ConfigError when they were upgraded by a newer package; VnaError.
    """
    names = pending(connection)
    if not _applied(connection):
        with connection.transaction():
            connection.execute(_text("schema.sql"))
            for name in migration_names():
                _remember(connection, name)
    for name in names:
        plain = name.removeprefix(PREFIX)
        with connection.transaction():
            connection.execute(_text(f"migrations/{plain}.sql"))
            _remember(connection, plain)
    return names


def _applied(connection: Connection) -> set[str]:
    known = connection.execute("SELECT to_regclass('jobs_migration')").fetchone()
    if known is None or known[0] is None:
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM jobs_migration").fetchall()}


def _remember(connection: Connection, name: str) -> None:
    connection.execute("INSERT INTO jobs_migration (name) VALUES (%s)", [name])


def _check_newer(applied: set[str]) -> None:
    newer = sorted(applied.difference(migration_names()))
    if newer:
        raise ConfigError(
            f"the tables of jobs were upgraded by a newer procrastinate ({', '.join(newer)}): "
            "install that version, or restore the database from before the upgrade"
        )


@cache
def _folder() -> Path:
    """Where the package keeps its SQL; found without importing it, which takes a while."""
    spec = cast("ModuleSpec", find_spec("procrastinate"))
    return Path((spec.submodule_search_locations or [""])[0]) / "sql"


def _text(name: str) -> LiteralString:
    return (_folder() / name).read_text(encoding="utf-8")
