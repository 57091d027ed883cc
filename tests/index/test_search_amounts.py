"""How much a query finds, and how much of it is asked for: every record once, whole, and the connection free again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.index.samples import ORIGIN, attributes, new_instance
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import BATCH, SearchIndex
from vna.model.identifiers import Level
from vna.model.query import AnyOf, Filter, Query, Record, SingleValue

STUDY_UID, SERIES_UID = 0x0020000D, 0x0020000E


def uids(records: Iterator[Record], tag: int = STUDY_UID) -> list[object]:
    return [record.attributes[f"{tag:08X}"]["Value"][0] for record in records]  # type: ignore[index]


def studies(search: SearchIndex, *filters: Filter) -> list[object]:
    return uids(search.find(Query(Level.STUDY, filters, frozenset({STUDY_UID}))))


@pytest.fixture
def many(database: Database) -> int:
    """More series than fit into two batches."""
    count = 2 * BATCH + 7
    InstanceIndex(database).register(new_instance(), ORIGIN)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO series (study, series_instance_uid, series_number, attributes)"
            " SELECT study.id, '2.' || n, n, '{}' FROM study, generate_series(2, %s) AS n",
            [count],
        )
    return count


@pytest.mark.parametrize("limit", [None, 10_000, 2 * BATCH, BATCH, 1])
def test_streaming_gives_every_record_once(
    search: SearchIndex, many: int, limit: int | None
) -> None:
    query = Query(Level.SERIES, (), frozenset({SERIES_UID}), limit)
    found = uids(search.find(query), SERIES_UID)
    assert len(set(found)) == len(found) == min(many, limit or many)


KEYED = Filter(STUDY_UID, SingleValue("1.1"))
"""What an index finds: asked at once, and with a cursor only where too much is found."""


@pytest.mark.parametrize("limit", [None, 10_000, 2 * BATCH, BATCH + 1, BATCH, 1])
def test_what_a_key_finds_is_whole_however_much_it_is(
    search: SearchIndex, many: int, limit: int | None
) -> None:
    query = Query(Level.SERIES, (KEYED,), frozenset({SERIES_UID}), limit)
    found = uids(search.find(query), SERIES_UID)
    assert len(set(found)) == len(found) == min(many, limit or many)


@pytest.mark.parametrize("last", [BATCH - 1, BATCH, BATCH + 1])
def test_a_key_finds_as_many_as_one_answer_holds(
    search: SearchIndex, database: Database, many: int, last: int
) -> None:
    assert many > last
    with database.connection() as connection:
        connection.execute("DELETE FROM series WHERE series_number > %s", [last])
    (first, *others) = (KEYED, Filter(SERIES_UID, AnyOf(tuple(f"2.{n}" for n in range(2000)))))
    query = Query(Level.SERIES, (first, *others), frozenset({SERIES_UID}))
    assert uids(search.find(query), SERIES_UID) == [f"2.{n}" for n in range(2, last + 1)]


def test_a_key_finds_nothing_and_the_next_one_does(
    search: SearchIndex, index: InstanceIndex
) -> None:
    index.register(new_instance(), ORIGIN)
    for _ in range(8):  # the statement is prepared by then, and planned once for all values
        assert studies(search, Filter(STUDY_UID, SingleValue("9.9"))) == []
        assert studies(search, KEYED) == ["1.1"]


@pytest.mark.parametrize("level", list(Level))
def test_what_is_asked_for_is_what_is_kept(
    search: SearchIndex, index: InstanceIndex, level: Level
) -> None:
    numbered = attributes(
        T00200013=("IS", 3), T00280010=("US", 512), T00080005=("CS", "ISO_IR 100")
    )
    index.register(new_instance(instance_attributes=numbered), ORIGIN)
    (whole,) = search.find(Query(level, ()))
    for key, found in whole.attributes.items():
        (record,) = search.find(Query(level, (), frozenset({int(key, 16)})))
        assert record.attributes == {key: found}
    asked = frozenset(int(key, 16) for key in whole.attributes)
    (record,) = search.find(Query(level, (), asked))
    assert record.attributes == whole.attributes
    assert list(record.attributes) == sorted(whole.attributes)


def test_thousands_of_attributes_may_be_asked_for(
    search: SearchIndex, index: InstanceIndex
) -> None:
    index.register(new_instance(), ORIGIN)
    asked = frozenset(range(0x00080000, 0x00080000 + 5000)) | {STUDY_UID}
    (record,) = search.find(Query(Level.STUDY, (), asked))
    assert len(record.attributes) == 5001
    assert record.attributes["00080020"] == {"vr": "DA", "Value": ["20240131"]}
    assert record.attributes["0020000D"]["Value"] == ["1.1"]


@pytest.mark.usefixtures("many")
def test_closing_early_frees_the_connection(database_url: str) -> None:
    with Database(database_url, pool_size=1, connect_timeout=5) as database:
        search = SearchIndex(database)
        for _ in range(3):
            found = search.find(Query(Level.SERIES, (), frozenset({SERIES_UID})))
            assert uids(iter([next(found)]), SERIES_UID)
            found.close()  # type: ignore[attr-defined]
            database.ping()


def test_small_answers_do_not_hold_a_connection(index: InstanceIndex, database_url: str) -> None:
    index.register(new_instance(), ORIGIN)
    with Database(database_url, pool_size=1, connect_timeout=5) as database:
        found = SearchIndex(database).find(Query(Level.STUDY, (), frozenset({STUDY_UID})))
        next(found)
        database.ping()
