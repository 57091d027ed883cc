"""What most tests of the index begin with: an empty one, and searching in it."""

from __future__ import annotations

import pytest

from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex


@pytest.fixture
def index(database: Database) -> InstanceIndex:
    return InstanceIndex(database)


@pytest.fixture
def search(database: Database) -> SearchIndex:
    return SearchIndex(database)
