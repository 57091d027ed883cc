"""Remembered statements of searches by key are those that would have been built; connections keep them prepared."""

from __future__ import annotations

import re

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.index.samples import ORIGIN, new_instance
from vna.errors import InvalidQuery
from vna.index.database import Connection, Database
from vna.index.instances import InstanceIndex
from vna.index.keyed_pages import keyed_page
from vna.index.pages import SearchPages
from vna.index.prepared_texts import PreparedTexts, encoded
from vna.index.statement import build_pages
from vna.model.identifiers import Level
from vna.model.instances import Outcome
from vna.model.query import (
    AnyOf,
    Filter,
    OneOf,
    Position,
    Query,
    Range,
    SearchTimes,
    SingleValue,
    UrlParts,
    Wildcard,
)

URL = UrlParts('http://h/"%s$1/studies/', "/series/", "/instances/")
STUDY_DATE, STUDY_UID = 0x00080020, 0x0020000D
KEYS = (0x00100020, STUDY_UID, 0x0020000E, 0x00080018, 0x00080050)
texts = st.text(max_size=8) | st.sampled_from(["A\\B", '"', "%", "%%s", "$1", "\0", "é"])
days = st.dates().map(lambda day: day.strftime("%Y%m%d").zfill(8))
values = texts.map(SingleValue) | st.lists(texts, max_size=4).map(lambda found: AnyOf(tuple(found)))
ranges = st.tuples(st.none() | days, st.none() | days).map(lambda ends: Range(*ends))
filters = st.one_of(
    st.builds(Filter, st.sampled_from(KEYS), values | texts.map(Wildcard)),
    st.builds(Filter, st.just(STUDY_DATE), days.map(SingleValue) | ranges),
    st.builds(Filter, st.just(0x00100010), texts.map(SingleValue)),
    st.builds(Filter, st.just(0x00081030), texts.map(SingleValue)),
)
queries = st.builds(
    Query,
    level=st.sampled_from(Level),
    filters=st.lists(filters, max_size=3).map(tuple),
    return_tags=st.none() | st.frozensets(st.sampled_from([*KEYS, STUDY_DATE, 0x00201208])),
    limit=st.none() | st.integers(0, 5),
    offset=st.sampled_from([0, 0, 0, 2]),
    fuzzy=st.booleans(),
    utc_offset=st.sampled_from([None, None, None, 60]),
)


@given(query=queries)
def test_a_remembered_statement_is_the_one_that_would_be_built(query: Query) -> None:
    found = keyed_page(query, URL)
    if found is None:
        return
    (built,) = build_pages(query, "", URL)
    assert built.is_prepared
    assert built.is_bounded
    names = list(dict.fromkeys(re.findall(rb"%\((\w+)\)s", built.text)))
    text = re.sub(
        rb"%\((\w+)\)s|%%",
        lambda m: b"%" if m[1] is None else b"$%d" % (names.index(m[1]) + 1),
        built.text,
    )
    assert found.text == text
    assert found.values == [encoded(built.values[name.decode()]) for name in names]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        Query(Level.STUDY),
        Query(Level.STUDY, (Filter(0x00100020, SingleValue("P")),)),
        Query(Level.STUDY, (Filter(STUDY_UID, AnyOf(("1", "2"))),)),
        Query(Level.IMAGE, (Filter(STUDY_UID, SingleValue("1")),)),
        Query(Level.SERIES, (Filter(STUDY_DATE, Range("20200101", None)),)),
    ],
)
def test_what_viewers_ask_all_day_is_remembered(query: Query) -> None:
    assert keyed_page(query, URL) is not None


@pytest.mark.parametrize(
    "query",
    [
        Query(Level.STUDY, return_tags=None),
        Query(Level.STUDY, offset=1),
        Query(Level.STUDY, after=Position((1, None, 1))),
        Query(Level.STUDY, (Filter(0x00100020, Wildcard("P*")),)),
        Query(Level.STUDY, (Filter(0x00100020, OneOf((SingleValue("a"), Wildcard("b*")))),)),
        Query(Level.STUDY, (Filter(0x00080018, SingleValue("1.2")),)),
        Query(Level.STUDY, (Filter(STUDY_DATE, SingleValue("20200101")),), utc_offset=60),
    ],
)
def test_what_needs_a_plan_of_its_own_is_not(query: Query) -> None:
    assert keyed_page(query, URL) is None


def test_a_day_that_is_none_is_refused() -> None:
    query = Query(Level.STUDY, (Filter(STUDY_DATE, SingleValue("20230230")),))
    with pytest.raises(InvalidQuery, match="YYYYMMDD"):
        keyed_page(query, URL)


# --- prepared on connections ---


def statements(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT statement FROM pg_prepared_statements WHERE name LIKE 'vna%' ORDER BY prepare_time"
    )
    return [row[0] for row in rows.fetchall()]


def test_a_connection_keeps_the_statements_that_are_used(database: Database) -> None:
    prepared = PreparedTexts(most=2)
    with database.connection() as connection:
        for number in (1, 2, 1, 3, 1, 2):
            result = prepared.run(connection, b"SELECT %d, $1::text" % number, [b"a"])
            assert result.get_value(0, 0) == b"%d" % number
        assert statements(connection) == ["SELECT 1, $1::text", "SELECT 2, $1::text"]


def test_a_connection_that_forgot_is_told_again(database: Database) -> None:
    prepared = PreparedTexts()
    with database.connection() as connection:
        for _ in range(2):
            assert prepared.run(connection, b"SELECT $1::text", [b"a"]).get_value(0, 0) == b"a"
            connection.execute("DEALLOCATE ALL")


def test_several_may_prepare_the_same(database: Database) -> None:
    with database.connection() as connection:
        for _ in range(3):
            assert PreparedTexts().run(connection, b"SELECT 1", []).get_value(0, 0) == b"1"
        assert statements(connection) == ["SELECT 1"]


def test_errors_are_those_of_the_driver(database: Database) -> None:
    prepared = PreparedTexts()
    with database.connection() as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            prepared.run(connection, b"SELECT 1 FROM nowhere", [])
        with pytest.raises(psycopg.errors.DivisionByZero):
            prepared.run(connection, b"SELECT 1 / $1::integer", [b"0"])
        assert prepared.run(connection, b"SELECT 1 / $1::integer", [b"1"]).ntuples == 1


def test_two_indexes_share_the_connections_of_a_database(database_url: str) -> None:
    with Database(database_url, pool_size=1) as single:
        first, second = InstanceIndex(single), InstanceIndex(single)
        assert first.register(new_instance(), ORIGIN).outcome is Outcome.STORED
        assert second.register(new_instance(), ORIGIN).outcome is Outcome.DUPLICATE


@pytest.mark.usefixtures("database")
def test_a_search_survives_the_end_of_its_connection(database_url: str) -> None:
    with Database(database_url, pool_size=1) as single:
        InstanceIndex(single).register(new_instance(), ORIGIN)
        pages = SearchPages(single)
        query = Query(
            Level.STUDY, (Filter(0x00100020, SingleValue("P1")),), frozenset({STUDY_UID}), 5
        )
        for _ in range(2):
            assert len(pages.page(query, URL, SearchTimes(5.0, 5.0)).objects) == 1
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
