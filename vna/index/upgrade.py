"""Brings a database to the schema that this code needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors as sql_errors

from vna.errors import ConfigError, Unavailable
from vna.index.database import Connection, Database
from vna.index.jobs_schema import pending as pending_for_jobs
from vna.index.jobs_schema import upgrade_jobs
from vna.index.name_tokens import fill_person_names
from vna.index.partitioning import add_partitions, check_partitions, in_layout, partitions_of
from vna.index.post_upgrades import is_post, older_connections
from vna.index.sql import load, upgrade_names

log = logging.getLogger(__name__)

_LOCK = 0x766E61  # "vna": nodes that start together take turns
_OLDEST_SERVER = 150000
_PATIENCE = (0.5, 1, 2, 4, 8, 16)
"""Seconds that each attempt waits for a lock: all who serve wait behind it."""
_WAITING = "upgrades wait until no older version serves: then run vna db upgrade --post"


@dataclass(frozen=True, slots=True)
class UpgradeStatus:
    """`applied` and `pending` upgrades by name; both empty lists mean a fresh database has no schema yet."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def upgrade(database: Database, partitions: int = 0, *, with_post: bool = False) -> list[str]:
    """Apply what is missing and return its names; safe for several nodes at once.

    An empty database gets `schema.sql`, its large tables divided into `partitions` unless that is 0; an older one its
    upgrades in order, those called pre in one transaction; the tables of jobs follow, as the installed procrastinate
    wants them, and the tokens of person names that are missing. Post upgrades apply `with_post` only, and while no
    older version is connected: it could not read what is written behind them. They may come after pre upgrades
    with higher numbers. Raises ConfigError for a schema newer than this code, `partitions` that
    an older database does not have, a Postgres that is too old or not UTF-8; Unavailable.
    """
    with database.connection() as connection:
        _check_server(connection)
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            done = _apply(connection, partitions, with_post) + upgrade_jobs(connection)
        finally:
            if not connection.broken:
                connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    fill_person_names(database)
    return done


def status(database: Database) -> UpgradeStatus:
    """Which upgrades are applied and which are not. Raises ConfigError for a newer schema, Unavailable."""
    with database.connection() as connection:
        applied = _applied(connection)
        for_jobs = pending_for_jobs(connection)
    _check_newer(applied)
    pending = [name for name in upgrade_names() if _version(name) not in applied]
    return UpgradeStatus(
        tuple(applied[version] for version in sorted(applied)), (*pending, *for_jobs)
    )


def _apply(connection: Connection, partitions: int, with_post: bool) -> list[str]:
    applied = _applied(connection)
    _check_newer(applied)
    names = upgrade_names()
    if not applied:
        check_partitions(connection, partitions, None)
        with connection.transaction():
            connection.execute(in_layout(load("schema"), is_partitioned=partitions > 0))
            add_partitions(connection, partitions)
            for name in names:
                _remember(connection, name)
        return names
    found = partitions_of(connection)
    check_partitions(connection, partitions, found)
    pending = [name for name in names if _version(name) not in applied]
    ready = [name for name in pending if not is_post(name)]
    _run(connection, ready, is_partitioned=found > 0)
    for name in filter(is_post, pending if with_post else ()):
        if not older_connections(connection, _version(name)):
            _run(connection, [name], is_partitioned=found > 0)
            ready.append(name)
    add_partitions(connection)
    if len(ready) < len(pending):
        log.warning(_WAITING, extra={"upgrades": [name for name in pending if name not in ready]})
    return ready


def _run(connection: Connection, names: Sequence[str], *, is_partitioned: bool) -> None:
    """Apply `names` in one transaction, which gives way to others rather than let them wait for long behind it."""
    for seconds in _PATIENCE:
        try:
            with connection.transaction():
                connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{seconds}s"])
                for name in names:
                    connection.execute(
                        in_layout(load(f"upgrades/{name}"), is_partitioned=is_partitioned)
                    )
                    _remember(connection, name)
        except (sql_errors.LockNotAvailable, sql_errors.DeadlockDetected) as exc:
            log.warning("the upgrade waits for transactions of others", extra={"upgrades": names})
            cause = exc
        else:
            return
    raise Unavailable(
        "the tables to upgrade are in use by a long transaction, perhaps a backup: try again behind it"
    ) from cause


def _applied(connection: Connection) -> dict[int, str]:
    known = connection.execute("SELECT to_regclass('schema_version')").fetchone()
    if known is None or known[0] is None:
        return {}
    rows = connection.execute("SELECT version, name FROM schema_version").fetchall()
    return dict(rows)


def _remember(connection: Connection, name: str) -> None:
    connection.execute(
        "INSERT INTO schema_version (version, name) VALUES (%s, %s)", [_version(name), name]
    )


def _version(name: str) -> int:
    return int(name[:4])


def _check_newer(applied: dict[int, str]) -> None:
    known = {_version(name) for name in upgrade_names()}
    # Of the next version what is "pre" may be there while it takes our place node by node.
    later = [applied[version] for version in sorted(applied) if version not in known]
    newer = [name for name in later if is_post(name)]
    if newer:
        raise ConfigError(
            f"the database was upgraded by a newer version of this archive ({', '.join(newer)}): "
            "start that version, or restore the database from before the upgrade"
        )


def _check_server(connection: Connection) -> None:
    version = connection.info.server_version
    if version < _OLDEST_SERVER:
        raise ConfigError(
            f"Postgres {version // 10000} is too old: {_OLDEST_SERVER // 10000} or newer is needed"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigError(f"the database's encoding is {encoding}: create it with ENCODING 'UTF8'")
