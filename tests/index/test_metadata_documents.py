"""Metadata documents in the index: found for just the instances that they describe, due when those have changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tests.index.samples import ORIGIN, new_instance
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.metadata_documents import DueSeries, KeptDocument, MetadataDocumentIndex
from vna.model.identifiers import Selection

DOCUMENT = KeptDocument("http://a/studies", b"\0\1\2")


@pytest.fixture
def documents(index: InstanceIndex) -> MetadataDocumentIndex:
    return index.documents


def store(index: InstanceIndex, *uids: str, series: str = "1.1.1", study: str = "1.1") -> None:
    for uid in uids:
        index.register(new_instance(study=study, series=series, instance=uid), ORIGIN)


def test_a_state_is_the_set_of_instances(
    index: InstanceIndex, documents: MetadataDocumentIndex
) -> None:
    assert documents.states("1.1", "1.1.1") == []
    store(index, *(f"1.{number}" for number in range(12)))
    (first,) = documents.states("1.1", "1.1.1")
    ids = sorted(
        found.instance_id for found in index.select(Selection(series_instance_uids=("1.1.1",)))
    )
    assert first.digest == hashlib.sha256(",".join(map(str, ids)).encode()).digest()
    assert first.instances == 12
    store(index, "1.3")  # a duplicate
    assert documents.states("1.1", "1.1.1") == [first]
    store(index, "2.1")
    (second,) = documents.states("1.1", "1.1.1")
    assert second.digest != first.digest
    assert documents.states("1.2", "1.1.1") == []


def test_the_series_of_a_study_come_in_the_order_of_delivery(
    index: InstanceIndex, documents: MetadataDocumentIndex
) -> None:
    for series in ("1.1.3", "1.1.1", "1.1.2"):
        store(index, f"{series}.1", series=series)
    store(index, "9", series="1.1.1", study="1.2")
    found = [state.series_instance_uid for state in documents.states("1.1")]
    delivered = [
        item.uids.series_instance_uid
        for item in index.select(Selection(study_instance_uids=("1.1",)))
    ]
    assert found == delivered == ["1.1.1", "1.1.2", "1.1.3"]


def test_a_document_is_found_for_its_state_and_version_alone(
    index: InstanceIndex, documents: MetadataDocumentIndex
) -> None:
    store(index, "1")
    (state,) = documents.states("1.1", "1.1.1")
    assert documents.find(state, 1) is None
    documents.keep(state, 1, DOCUMENT)
    assert documents.find(state, 1) == DOCUMENT
    assert documents.has(state, 1)
    assert documents.find(state, 2) is None
    store(index, "2")
    (changed,) = documents.states("1.1", "1.1.1")
    assert documents.find(changed, 1) is None
    assert not documents.has(changed, 1)
    other = KeptDocument("http://b/studies", b"\3")
    documents.keep(changed, 1, other)
    assert documents.find(changed, 1) == other
    assert documents.find(state, 1) is None


def test_a_document_of_a_series_that_is_gone_is_not_kept(
    index: InstanceIndex, documents: MetadataDocumentIndex, database: Database
) -> None:
    store(index, "1")
    (state,) = documents.states("1.1", "1.1.1")
    documents.keep(state, 1, DOCUMENT)
    with database.connection() as connection:
        connection.execute("DELETE FROM location; DELETE FROM instance; DELETE FROM series")
        assert connection.execute("SELECT count(*) FROM series_document").fetchone() == (0,)
    documents.keep(state, 1, DOCUMENT)
    assert documents.find(state, 1) is None


def mark(documents: MetadataDocumentIndex, database: Database) -> int:
    ChangeIndex(database).number()
    return documents.mark()


def test_what_has_changed_is_due_once_it_rests(
    index: InstanceIndex, documents: MetadataDocumentIndex, database: Database
) -> None:
    assert mark(documents, database) == 0
    store(index, "1", "2")
    store(index, "3", series="1.1.2")
    assert mark(documents, database) == 3
    assert mark(documents, database) == 0
    assert not documents.is_due(60)
    assert documents.take_due(60, 60) is None
    assert documents.is_due(0)
    taken = [documents.take_due(0, 60), documents.take_due(0, 60)]
    assert {due.series_instance_uid for due in taken if due} == {"1.1.1", "1.1.2"}
    assert documents.take_due(0, 60) is None
    for due in taken:
        assert due is not None
        documents.done(due)
    assert not documents.is_due(0)


def test_a_change_while_it_is_worked_on_makes_a_series_due_again(
    index: InstanceIndex, documents: MetadataDocumentIndex, database: Database
) -> None:
    store(index, "1")
    mark(documents, database)
    due = documents.take_due(0, 60)
    assert due is not None
    store(index, "2")
    mark(documents, database)
    assert documents.take_due(0, 60) is None
    documents.done(due)
    again = documents.take_due(0, 60)
    assert again is not None
    assert again.changed_at > due.changed_at


def test_what_a_dead_process_had_taken_is_taken_over(
    index: InstanceIndex, documents: MetadataDocumentIndex, database: Database
) -> None:
    store(index, "1")
    mark(documents, database)
    first = documents.take_due(0, -1)
    assert first is not None
    assert documents.take_due(0, 60) == first


def test_a_page_of_changes_at_a_time(
    index: InstanceIndex, documents: MetadataDocumentIndex, database: Database
) -> None:
    store(index, *(str(number) for number in range(5)))
    ChangeIndex(database).number()
    assert [documents.mark(2), documents.mark(2), documents.mark(2), documents.mark(2)] == [
        2,
        2,
        1,
        0,
    ]


def test_done_is_for_what_was_taken(documents: MetadataDocumentIndex, database: Database) -> None:
    with database.connection() as connection:
        row = connection.execute("SELECT now()").fetchone()
    assert row is not None
    documents.done(replace(DueSeries("1", "2", row[0])))
    assert not documents.is_due(0)
