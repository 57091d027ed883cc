"""The tests of the index and of the services once more, on a database with partitioned tables."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.index.conftest import index, search
from tests.services.conftest import another, bench, folders
from vna.index.database import Database
from vna.index.upgrade import upgrade

__all__ = ["another", "bench", "folders", "index", "search"]

PARTITIONS = 4


@pytest.fixture(scope="session")
def database_url(postgres_server: str) -> Iterator[str]:
    """The URL of this worker's own partitioned database."""
    name = f"partitioned_{os.getpid()}"
    url = postgres_server.replace("/vna?", f"/{name}?")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with Database(url, pool_size=1) as database:
            upgrade(database, PARTITIONS)
        yield url
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
