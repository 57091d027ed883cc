"""What most tests of the index begin with: an empty one, and searching in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import pytest

from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex


@contextmanager
def filled_with(url: str, rows: LiteralString, empty: LiteralString) -> Iterator[Database]:
    """The index with these rows in it, for a module of tests; `empty` takes them out again."""
    with Database(url, pool_size=1) as database:
        with database.connection() as connection:
            connection.execute(rows)
        yield database
        with database.connection() as connection:
            connection.execute(empty)


@pytest.fixture
def index(database: Database) -> InstanceIndex:
    return InstanceIndex(database)


@pytest.fixture
def search(database: Database) -> SearchIndex:
    return SearchIndex(database)
