"""Pages of finished objects: the same matches as records, in the same order, each once whatever happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.index.samples import ORIGIN, attributes, element, new_instance
from vna.errors import TooBroad
from vna.index.columns import COMPUTED_COLUMNS
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import BATCH, SearchIndex
from vna.model.identifiers import Level
from vna.model.query import Filter, Query, Range, SearchTimes, SingleValue, UrlParts, Wildcard

LEVELS = (Level.STUDY, Level.SERIES, Level.IMAGE)
URL = UrlParts("http://h/studies/", "/series/", "/instances/")
TIMES = SearchTimes(30.0, 30.0)
STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
OWN = {Level.STUDY: STUDY_UID, Level.SERIES: SERIES_UID, Level.IMAGE: SOP_UID}
MODALITIES = "00080061"


def objects(search: SearchIndex, query: Query) -> list[dict[str, Any]]:
    page = search.page(replace(query, limit=query.limit or 1000), URL, TIMES)
    return [json.loads(item) for item in page.objects]


def expected(search: SearchIndex, query: Query) -> list[dict[str, Any]]:
    """What the records of `query` are as answers of a search through the web."""
    found = []
    for record in search.find(query):
        item: dict[str, Any] = dict(record.attributes)
        item.pop("00081190", None)
        if "Value" not in item.get(MODALITIES, {"Value": []}):
            del item[MODALITIES]
        uids = [item[f"{OWN[level]:08X}"]["Value"][0] for level in LEVELS if level in above(query)]
        path = "".join(
            f"/{name}/{quote(str(uid), safe='')}"
            for name, uid in zip(("studies", "series", "instances"), uids, strict=False)
        )
        item["00081190"] = {"vr": "UR", "Value": [f"http://h{path}"]}
        found.append(item)
    return found


def above(query: Query) -> tuple[Level, ...]:
    return LEVELS[: LEVELS.index(query.level) + 1]


ODD = [
    new_instance(),
    new_instance("1.1", "1.1.1", "1.1.1.2", instance_attributes=attributes(T00200013=("IS", 2))),
    new_instance(
        "2.1",
        "2.1 %~_-!#$&'()+,;=@[]^`{}",
        "uid:%41.1",
        patient_id="P2",
        name={"Alphabetic": 'O"Neill\\^A%s', "Ideographic": "山田"},
        study_attributes=attributes(T00080020=("DA", ""), T00081030=("LO", 'q"\\ %(x)s\n')),
        series_attributes=attributes(T00080060=("CS", "")),
        instance_attributes=attributes(
            T00080005=("CS", "ISO_IR 192"), T00280010=("US",), T00200013=("IS", "")
        ),
    ),
    new_instance(
        "3.1",
        "3.1.1",
        "3.1.1.1",
        patient_id="",
        patient={"00100010": {"vr": "PN"}},
        study_attributes=attributes(T00080030=("TM", "")),
        series_attributes={
            "00400275": element("SQ", {"00400009": {"vr": "SH", "Value": ["step"]}}),
            "00081050": element("PN", "Nurse^A"),
        },
    ),
    new_instance("3.2", "3.1.1", "3.2.1.1", patient_id="P1", name="Doe^Jane"),
]


@pytest.fixture
def odd(index: InstanceIndex) -> None:
    for new in ODD:
        index.register(new, ORIGIN)


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("level", LEVELS)
def test_objects_are_what_the_records_say(search: SearchIndex, level: Level) -> None:
    uids = {OWN[item] for item in above(Query(level))}
    everything = objects(search, Query(level, (), None))
    assert everything == expected(search, Query(level, (), None))
    assert all(list(item) == sorted(item) for item in everything)
    tags = {int(key, 16) for item in everything for key in item} | set(COMPUTED_COLUMNS)
    tags |= {0x00080054, 0x00080060, 0x00091001, 0x00101030, 0x00189999}
    for asked in [frozenset(tags), *(frozenset({tag}) for tag in tags)]:
        query = Query(level, (), frozenset(uids | asked))
        found = objects(search, query)
        assert found == expected(search, query), asked
        assert all(list(item) == sorted(item) for item in found)


@pytest.mark.usefixtures("odd")
def test_thousands_of_attributes_may_be_asked_for(search: SearchIndex) -> None:
    asked = frozenset(range(0x00080000, 0x00080000 + 2000)) | {STUDY_UID}
    query = Query(Level.STUDY, (), asked)
    assert objects(search, query) == expected(search, query)


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("level", LEVELS)
def test_a_stream_has_the_same_objects(search: SearchIndex, level: Level) -> None:
    query = Query(level, (), None)
    streamed = [json.loads(item) for item in search.objects(query, URL, 30.0)]
    assert streamed == objects(search, query)
    first = search.page(replace(query, limit=2), URL, TIMES)
    rest = search.objects(replace(query, after=first.following), URL, 30.0)
    assert [json.loads(item) for item in rest] == streamed[2:]


def test_long_streams_are_whole(database: Database, index: InstanceIndex) -> None:
    index.register(new_instance(), ORIGIN)
    add_series(database, 2 * BATCH + 7)
    query = Query(Level.SERIES, (Filter(STUDY_UID, SingleValue("1.1")),), frozenset({SERIES_UID}))
    found = list(SearchIndex(database).objects(query, URL, 30.0))
    assert len(set(found)) == len(found) == 2 * BATCH + 8


def test_a_stream_that_is_closed_early_frees_its_connection(
    index: InstanceIndex, database: Database, database_url: str
) -> None:
    index.register(new_instance(), ORIGIN)
    add_series(database, 2 * BATCH)
    with Database(database_url, pool_size=1, connect_timeout=5) as narrow:
        for _ in range(3):
            found = SearchIndex(narrow).objects(Query(Level.SERIES, (), None), URL, 30.0)
            assert next(found)
            found.close()  # type: ignore[attr-defined]
            narrow.ping()


def test_the_images_of_a_long_series_are_answered_in_linear_time(
    index: InstanceIndex, search: SearchIndex, database: Database
) -> None:
    """Each tells how many its series has: 16 000 times 16 000 would take longer than a busy machine."""
    index.register(new_instance(), ORIGIN)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO instance (series, instance_number, number_of_frames, dataset_offset, header_length,"
            " pixel_offset, pixel_length, tail_offset, sop_instance_uid, sop_class_uid, transfer_syntax_uid,"
            " object_digest, dataset_digest, attributes)"
            " SELECT id, n, 1, 0, 0, 0, 0, 0, '5.' || n, '1.2', '1.2', '', '', '{}'"
            " FROM series, generate_series(1, 16000) AS n"
        )
    keyed = Filter(STUDY_UID, SingleValue("1.1"))
    query = Query(Level.IMAGE, (keyed,), frozenset({SOP_UID, 0x00201209}))
    found = [json.loads(item) for item in search.objects(query, URL, 8.0)]
    assert {item["00201209"]["Value"][0] for item in found} == {16001}
    assert len(found) == 16001


def add_series(database: Database, count: int) -> None:
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO series (study, series_instance_uid, series_number, attributes)"
            " SELECT study.id, '2.' || n, nullif(n %% 5, 0), '{}' FROM study, generate_series(1, %s) AS n",
            [count],
        )


# --- pages ---


def walk(search: SearchIndex, query: Query, size: int) -> Iterator[list[str]]:
    """The UIDs of each page, from the first to the last."""
    after = None
    while True:
        page = search.page(replace(query, limit=size, after=after), URL, TIMES)
        key = f"{OWN[query.level]:08X}"
        yield [json.loads(item)[key]["Value"][0] for item in page.objects]
        after = page.following
        if after is None:
            return


STUDIES = [  # date and time, with values of every kind and many alike
    ("", ""), ("", "10"), ("20200101", ""), ("20200101", "101500"), ("20200101", "101500.000001"),
    ("20200101", "235959.999999"), ("20200101", ""), ("19991231", "10"), ("", ""), ("20200101", "101500"),
    ("00010101", "00"), ("99991231", ""),
]  # fmt: skip


@pytest.fixture
def many(index: InstanceIndex) -> None:
    """Studies, each with two series, each of those with two instances, some without numbers."""
    for n, (date, time) in enumerate(STUDIES):
        for m in range(4):
            index.register(
                new_instance(
                    f"1.{n}",
                    f"1.{n}.{m // 2}",
                    f"1.{n}.{m // 2}.{m}",
                    patient_id=f"P{n % 3}",
                    study_attributes=attributes(T00080020=("DA", date), T00080030=("TM", time)),
                    series_attributes=attributes(T00200011=("IS", "" if n % 2 else n % 5)),
                    instance_attributes=attributes(T00200013=("IS", "" if m % 2 else 7)),
                ),
                ORIGIN,
            )


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "filters",
    [
        (),
        (Filter(0x00100020, SingleValue("P1")),),
        (Filter(0x00100010, Wildcard("*doe*")),),
        (Filter(0x00080020, Range("20000101", None)),),
    ],
)
def test_pages_together_are_the_whole(
    search: SearchIndex, level: Level, filters: tuple[Filter, ...]
) -> None:
    query = Query(level, filters, frozenset({OWN[level]}))
    records = search.find(query)
    whole = [record.attributes[f"{OWN[level]:08X}"]["Value"][0] for record in records]  # type: ignore[index]
    for size in (1, 2, 3, 7, len(whole), len(whole) + 1):
        pages = list(walk(search, query, size))
        assert [uid for page in pages for uid in page] == whole, size
        assert all(len(page) == size for page in pages[:-1])
        assert pages[-1]


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_was_there_comes_once_whatever_is_stored_and_deleted_meanwhile(
    database: Database, data: st.DataObject
) -> None:
    with database.connection() as connection:
        connection.execute("DELETE FROM study; DELETE FROM patient")
        connection.execute("INSERT INTO patient VALUES (DEFAULT, '', 'P', '{}')")
    day = st.sampled_from([None, "2020-01-01", "2020-01-02"])
    time = st.sampled_from([None, "10:00", "11:00"])
    moments = st.tuples(day, time)
    there = {add_study(database, f"1.{n}", *data.draw(moments)) for n in range(8)}
    gone: set[str] = set()
    seen: list[str] = []
    for number, page in enumerate(
        walk(SearchIndex(database), Query(Level.STUDY, (), frozenset({STUDY_UID})), 3)
    ):
        seen += page
        if number < 9:
            add_study(database, f"2.{number}", *data.draw(moments))
            gone.add(remove_study(database, data.draw(st.sampled_from(sorted(there)))))
    assert len(set(seen)) == len(seen)
    assert there - gone <= set(seen) <= there | {f"2.{n}" for n in range(9)}


def add_study(database: Database, uid: str, day: str | None, time: str | None) -> str:
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO study (patient, study_instance_uid, study_date, study_time, attributes)"
            " SELECT id, %s, %s::date, %s::time, '{}' FROM patient",
            [uid, day, time],
        )
    return uid


def remove_study(database: Database, uid: str) -> str:
    with database.connection() as connection:
        connection.execute("DELETE FROM study WHERE study_instance_uid = %s", [uid])
    return uid


@pytest.mark.usefixtures("many")
def test_the_place_does_not_depend_on_how_a_session_writes_dates(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET DateStyle = "SQL, DMY"')
        try:
            with Database(database_url, pool_size=1) as database:
                query = Query(Level.STUDY, (), frozenset({STUDY_UID}))
                pages = list(walk(SearchIndex(database), query, 5))
        finally:
            connection.execute(f'ALTER DATABASE "{name}" RESET DateStyle')
    assert [len(page) for page in pages] == [5, 5, 2]


# --- totals and time limits ---


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("limit", "offset", "filters"),
    [
        (1, 0, ()),
        (1000, 0, ()),
        (1000, 5, ()),
        (3, 5, ()),
        (3, 1000, ()),
        (0, 0, ()),
        (2, 0, (Filter(0x00100020, SingleValue("P1")),)),
        (2, 0, (Filter(0x00100010, Wildcard("*doe*")), Filter(0x00080060, SingleValue("CT")))),
        (2, 0, (Filter(0x00100020, SingleValue("nobody")),)),
    ],
)
def test_the_total_is_that_of_the_whole_search(
    search: SearchIndex, level: Level, limit: int, offset: int, filters: tuple[Filter, ...]
) -> None:
    query = Query(level, filters, frozenset({OWN[level]}), limit, offset)
    whole = len(list(search.find(replace(query, limit=None, offset=0))))
    page = search.page(query, URL, TIMES)
    assert page.total == whole
    if page.following is not None:
        later = replace(query, offset=0, after=page.following)
        assert search.page(later, URL, TIMES).total == whole


@pytest.mark.usefixtures("many")
def test_nothing_is_counted_where_it_is_not_wanted(search: SearchIndex) -> None:
    query = Query(Level.STUDY, (), frozenset({STUDY_UID}), 3)
    times = SearchTimes(30.0, 0.0)
    assert search.page(query, URL, times).total is None
    assert search.page(replace(query, limit=12), URL, times).total == 12


def test_a_total_is_true_at_its_moment(
    search: SearchIndex, index: InstanceIndex, database: Database
) -> None:
    query = Query(Level.STUDY, (), frozenset({STUDY_UID}), 1)
    index.register(new_instance("1.0", "1.0.1", "1.0.1.1"), ORIGIN)
    for n in range(1, 4):
        index.register(new_instance(f"1.{n}", f"1.{n}.1", f"1.{n}.1.1"), ORIGIN)
        for _ in range(3):
            assert search.page(query, URL, TIMES).total == n + 1
    with database.connection() as connection, connection.transaction():
        connection.execute("DELETE FROM location; DELETE FROM instance; DELETE FROM series")
        connection.execute("DELETE FROM study WHERE study_instance_uid > '1.1'")
        assert search.page(query, URL, TIMES).total == 4
    assert search.page(query, URL, TIMES).total == 2


@contextmanager
def locked(database_url: str, table: str) -> Iterator[None]:
    """Whoever reads `table` waits."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.usefixtures("many")
def test_a_count_that_takes_too_long_is_left_out_for_a_while(
    search: SearchIndex, database_url: str
) -> None:
    query = Query(Level.STUDY, (), frozenset({STUDY_UID}), 0)
    times = SearchTimes(30.0, 0.02)
    with locked(database_url, "study"):
        assert search.page(query, URL, times).total is None
    assert search.page(query, URL, times).total is None
    assert search.page(replace(query, level=Level.SERIES), URL, TIMES).total == 24


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "query",
    [
        Query(Level.STUDY, (Filter(0x00100010, Wildcard("*o*")),), frozenset({STUDY_UID}), 3),
        Query(Level.STUDY, (), frozenset({STUDY_UID}), 3, offset=2),
    ],
)
def test_a_search_that_takes_too_long_is_given_up(
    search: SearchIndex, database: Database, database_url: str, query: Query
) -> None:
    with locked(database_url, "study"):
        with pytest.raises(TooBroad, match=r"0\.02 s"):
            search.page(query, URL, SearchTimes(0.02, 0.0))
        with pytest.raises(TooBroad):
            list(search.objects(query, URL, 0.02))
    assert search.page(query, URL, TIMES).objects
    with database.connection() as connection:
        row = connection.execute("SHOW statement_timeout").fetchone()
    assert row == ("0",), "the next user of the connection is not limited"


@pytest.mark.parametrize("pattern", ["*a" * 60 + "*", "*" + "?*" * 60, "*a*b" * 15_000])
def test_patterns_of_many_stars_are_matched_in_no_time(
    database: Database, search: SearchIndex, pattern: str
) -> None:
    with database.connection() as connection:
        connection.execute("INSERT INTO patient VALUES (DEFAULT, '', 'P', '{}')")
        connection.execute(
            "INSERT INTO study (patient, study_instance_uid, patient_name, attributes)"
            " SELECT id, '1.' || n, repeat('ab', 32), '{}' FROM patient, generate_series(1, 2000) AS n"
        )
    query = Query(Level.STUDY, (Filter(0x00100010, Wildcard(pattern)),), frozenset({STUDY_UID}), 10)
    search.page(query, URL, SearchTimes(5.0, 5.0))
