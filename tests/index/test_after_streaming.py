"""A connection that streamed rows before registers like any other: what committed is told, what did not is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.index.samples import ORIGIN, new_instance
from vna.errors import VnaError
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.model.identifiers import Selection
from vna.model.instances import Outcome

STUDY = Selection(study_instance_uids=("1.1",))


@pytest.fixture
def index(database_url: str, database: Database) -> Iterator[InstanceIndex]:
    """An index on one connection, which has just streamed the rows of a selection."""
    with Database(database_url, pool_size=1) as single:
        index = InstanceIndex(single)
        index.register(new_instance(), ORIGIN)
        assert len(index.selections.choose(STUDY)) == 1
        yield index


def test_a_registration_after_a_selection_tells_what_it_did(index: InstanceIndex) -> None:
    assert index.register(new_instance(instance="1.1.1.9"), ORIGIN).outcome is Outcome.STORED
    assert len(index.selections.choose(STUDY)) == 2
    again = index.register(new_instance(instance="1.1.1.9"), ORIGIN)
    assert again.outcome is Outcome.DUPLICATE
    assert index.counts().instances == 2


def test_a_new_study_after_a_selection_is_registered_at_once(index: InstanceIndex) -> None:
    assert index.register(new_instance("2.1", "2.1.1", "2.1.1.1"), ORIGIN).outcome is Outcome.STORED


def test_a_commit_that_fails_behind_its_row_is_a_failure(
    index: InstanceIndex, database_url: str
) -> None:
    with refused_commits(database_url), pytest.raises(VnaError, match="not today"):
        index.register(new_instance(instance="1.1.1.9"), ORIGIN)
    assert index.counts().instances == 1


@contextmanager
def refused_commits(url: str) -> Iterator[None]:
    """Every transaction that writes an instance fails when it commits."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'not today'; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON instance "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION refuse CASCADE")
