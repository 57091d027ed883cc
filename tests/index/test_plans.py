"""Frequent queries use their indexes: the shape of the plan, never a time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.index.conftest import filled_with
from vna.index.database import Database
from vna.index.statement import build_statement
from vna.model.identifiers import Level
from vna.model.query import (
    AnyOf,
    Filter,
    Match,
    MomentRange,
    Query,
    Range,
    SingleValue,
    Wildcard,
)

_ROWS = """
    INSERT INTO patient (issuer_of_patient_id, patient_id, attributes)
    SELECT '', 'P' || n, '{}' FROM generate_series(1, 10000) AS n;
    INSERT INTO study (patient, study_instance_uid, study_date, accession_number, study_id,
        patient_name, patient_birth_date, attributes, person_names)
    SELECT id, '1.2.' || id, date '2000-01-01' + (id % 8000)::int, 'A' || id, 'S' || id,
        'name' || id || '^first', date '1930-01-01' + (id % 30000)::int, '{}',
        array_to_tsvector(ARRAY['00100010wname' || id, '00100010wfirst', '00100010pFRSTE',
            '00080090wdoctor' || id % 100]) FROM patient;
    INSERT INTO series (study, series_instance_uid, modality, series_number, attributes, person_names)
    SELECT id, '1.3.' || id, CASE WHEN id % 1000 = 0 THEN 'XA' ELSE 'CT' END, 1, '{}',
        array_to_tsvector(ARRAY['00081050wnurse' || id % 100]) FROM study;
    INSERT INTO instance (series, instance_number, number_of_frames, dataset_offset, header_length,
        pixel_offset, pixel_length, tail_offset, sop_instance_uid, sop_class_uid,
        transfer_syntax_uid, object_digest, dataset_digest, attributes)
    SELECT id, 1, 1, 0, 0, 0, 0, 0, '1.4.' || id, '1.5', '1.6', '', '', '{}' FROM series;
    ANALYZE patient, study, series, instance
"""
_EMPTY = """
    DELETE FROM instance; DELETE FROM series; DELETE FROM study; DELETE FROM patient;
    ANALYZE patient, study, series, instance
"""


@pytest.fixture(scope="module")
def filled(database_url: str) -> Iterator[Database]:
    with filled_with(database_url, _ROWS, _EMPTY) as database:
        yield database


def plan_of(database: Database, query: Query) -> str:
    statement = build_statement(query)
    with database.connection() as connection:
        explain = b"EXPLAIN (FORMAT JSON) " + statement.text
        row = connection.execute(explain, statement.values, prepare=False).fetchone()
    assert row is not None
    return json.dumps(row[0])


@pytest.mark.parametrize(
    ("level", "tag", "match", "index"),
    [
        (Level.STUDY, 0x00100020, SingleValue("P77"), "patient_identity"),
        (Level.STUDY, 0x00100020, Wildcard("P777*"), "patient_identity"),
        (
            Level.STUDY,
            0x00100020,
            AnyOf(tuple(f"P{n}" for n in range(200))),
            "patient_identity",
        ),
        (Level.PATIENT, 0x00100020, SingleValue("P77"), "patient_identity"),
        (Level.SERIES, 0x00100020, SingleValue("P77"), "patient_identity"),
        (Level.STUDY, 0x00100010, Wildcard("NAME77*"), "study_by_patient_name"),
        (Level.STUDY, 0x00100010, SingleValue("Name77^First"), "study_by_patient_name"),
        (Level.PATIENT, 0x00100010, Wildcard("Name77^*"), "study_by_patient_name"),
        (Level.STUDY, 0x00100030, SingleValue("19500101"), "study_by_patient_birth_date"),
        (Level.STUDY, 0x00080020, SingleValue("20100105"), "study_by_date"),
        (Level.STUDY, 0x00080020, Range("20100101", "20100131"), "study_by_date"),
        (Level.STUDY, 0x00080050, SingleValue("A77"), "study_by_accession_number"),
        (Level.STUDY, 0x00080050, Wildcard("A77*"), "study_by_accession_number"),
        (Level.STUDY, 0x00200010, SingleValue("S77"), "study_by_study_id"),
        (Level.STUDY, 0x0020000D, SingleValue("1.2.77"), "study_identity"),
        (Level.STUDY, 0x0020000D, AnyOf(("1.2.77", "1.2.78")), "study_identity"),
        (Level.SERIES, 0x0020000D, SingleValue("1.2.77"), "series_by_study"),
        (Level.SERIES, 0x0020000E, SingleValue("1.3.77"), "series_identity"),
        (Level.IMAGE, 0x0020000E, SingleValue("1.3.77"), "instance_by_series"),
        (Level.IMAGE, 0x00080018, SingleValue("1.4.77"), "instance_identity"),
        (Level.STUDY, 0x00080018, SingleValue("1.4.77"), "instance_identity"),
    ],
)
def test_index_is_used(filled: Database, level: Level, tag: int, match: Match, index: str) -> None:
    plan = plan_of(filled, Query(level, (Filter(tag, match),), frozenset({0x0020000D})))
    assert f'"{index}"' in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("level", "item", "index"),
    [
        (Level.STUDY, Filter(0x00100010, SingleValue("Name77^First")), "study_by_person_names"),
        (Level.STUDY, Filter(0x00100010, Wildcard("NAME77*")), "study_by_person_names"),
        (Level.STUDY, Filter(0x00100010, AnyOf(("Name7", "Name8"))), "study_by_person_names"),
        (Level.PATIENT, Filter(0x00100010, SingleValue("Name77")), "study_by_person_names"),
        (Level.SERIES, Filter(0x00100010, SingleValue("Name77")), "study_by_person_names"),
        (Level.STUDY, Filter(0x00080090, SingleValue("Doctor7")), "study_by_person_names"),
        (Level.SERIES, Filter(0x00081050, SingleValue("Nurse7")), "series_by_person_names"),
        (Level.STUDY, Filter(0x00081050, SingleValue("Nurse7")), "series_by_person_names"),
    ],
)
def test_names_are_found_by_their_tokens(
    filled: Database, level: Level, item: Filter, index: str
) -> None:
    query = Query(level, (item,), frozenset({0x0020000D}), fuzzy=True)
    plan = plan_of(filled, query)
    assert f'"{index}"' in plan
    table = "series" if index.startswith("series") else "study"
    assert (
        f'"Seq Scan", "Parallel Aware": false, "Async Capable": false, "Relation Name": "{table}"'
        not in plan
    )


@pytest.mark.parametrize(
    ("level", "tag", "pattern", "index"),
    [
        (Level.STUDY, 0x00100010, "*AME77*", "study_by_trigrams"),
        (Level.STUDY, 0x00100010, "*me77^first", "study_by_trigrams"),
        (Level.STUDY, 0x00100010, "?ame77^*", "study_by_trigrams"),
        (Level.PATIENT, 0x00100010, "*me777*", "study_by_trigrams"),
        (Level.SERIES, 0x00100010, "*me777*", "study_by_trigrams"),
        (Level.STUDY, 0x00100020, "*777*", "patient_by_trigrams"),
        (Level.PATIENT, 0x00100020, "*777", "patient_by_trigrams"),
        (Level.STUDY, 0x00100020, "P777*", "patient_identity"),
        (Level.STUDY, 0x00100010, "name777*", "study_by_patient_name"),
    ],
)
def test_the_middle_of_a_text_leads_to_it(
    filled: Database, level: Level, tag: int, pattern: str, index: str
) -> None:
    query = Query(level, (Filter(tag, Wildcard(pattern)),), frozenset({0x0020000D}))
    assert f'"{index}"' in plan_of(filled, query)


@pytest.mark.parametrize("utc_offset", [None, 60])
def test_moments_are_found_by_their_date(filled: Database, utc_offset: int | None) -> None:
    match = MomentRange("20100101100000.000000", "20100102180000.000000")
    item = Filter(0x00080020, match)
    query = Query(Level.STUDY, (item,), frozenset({0x0020000D}), utc_offset=utc_offset)
    plan = plan_of(filled, query)
    assert '"study_by_date"' in plan
    assert "Seq Scan" not in plan


def test_first_page_of_everything_is_read_in_order(filled: Database) -> None:
    wanted = frozenset({0x0020000D, 0x00080061, 0x00201208})
    plan = plan_of(filled, Query(Level.STUDY, (), wanted, limit=101))
    assert '"study_by_date"' in plan
    assert '"Sort"' not in plan
    assert "Seq Scan" not in plan


def test_nothing_is_computed_unless_asked(filled: Database) -> None:
    plan = plan_of(filled, Query(Level.STUDY, (), frozenset({0x0020000D}), limit=101))
    assert '"series"' not in plan
    assert '"instance"' not in plan


def generic_plan_of(database: Database, query: Query) -> str:
    """The plan for whatever values: what a prepared statement ends up with."""
    statement = build_statement(query, first_rows=501)
    assert statement.is_keyed
    text = statement.first
    for number, name in enumerate(statement.values, 1):
        text = text.replace(f"%({name})s".encode(), b"$%d" % number)
    with database.connection() as connection:
        result = connection.pgconn.exec_(b"EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + text)
    plan = result.get_value(0, 0)
    assert plan is not None, result.error_message
    return plan.decode()


@pytest.mark.parametrize(
    ("level", "filters", "index"),
    [
        (Level.PATIENT, (Filter(0x00100020, SingleValue("P7")),), "patient_identity"),
        (Level.STUDY, (Filter(0x00100020, SingleValue("P7")),), "patient_identity"),
        (Level.STUDY, (Filter(0x00100020, AnyOf(("P7", "P8"))),), "patient_identity"),
        (Level.STUDY, (Filter(0x00080050, SingleValue("A7")),), "study_by_accession_number"),
        (Level.STUDY, (Filter(0x0020000D, AnyOf(("1.2.7",))),), "study_identity"),
        (Level.STUDY, (Filter(0x00080020, SingleValue("20100105")),), "study_by_date"),
        (Level.STUDY, (Filter(0x00080020, Range("20100101", "20100107")),), "study_by_date"),
        (Level.STUDY, (Filter(0x00080020, Range("20100101", None)),), "study_by_date"),
        (Level.SERIES, (Filter(0x00080020, Range("20100101", "20100107")),), "study_by_date"),
        (Level.SERIES, (Filter(0x0020000D, SingleValue("1.2.7")),), "study_identity"),
        (Level.IMAGE, (Filter(0x0020000D, SingleValue("1.2.7")),), "study_identity"),
        (Level.IMAGE, (Filter(0x0020000E, SingleValue("1.3.7")),), "series_identity"),
        (Level.IMAGE, (Filter(0x00080018, SingleValue("1.4.7")),), "instance_identity"),
        (
            Level.STUDY,
            (
                Filter(0x00100020, SingleValue("P7")),
                Filter(0x00080020, Range("20000101", "20201231")),
            ),
            "patient_identity",
        ),
    ],
)
def test_one_plan_is_right_for_every_value(
    filled: Database, level: Level, filters: tuple[Filter, ...], index: str
) -> None:
    wanted = frozenset({0x0020000D, 0x00080061, 0x00201208})
    plan = generic_plan_of(filled, Query(level, filters, wanted))
    assert f'"{index}"' in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    "query",
    [
        Query(Level.STUDY, ()),
        Query(Level.STUDY, (Filter(0x00100020, Wildcard("P7*")),)),
        Query(Level.STUDY, (Filter(0x00100010, SingleValue("Doe")),)),
        Query(Level.STUDY, (Filter(0x00080020, AnyOf(("20100105", "20100106"))),)),
        Query(Level.STUDY, (Filter(0x00080018, SingleValue("1.4.7")),)),
        Query(Level.PATIENT, (Filter(0x00080020, Range("20100101", None)),)),
        Query(Level.STUDY, (Filter(0x0020000D, SingleValue("1.2.7")),), offset=5),
        Query(Level.STUDY, (Filter(0x00080020, SingleValue("20100105")),), utc_offset=60),
        Query(
            Level.STUDY,
            (Filter(0x0020000D, SingleValue("1.2.7")), Filter(0x00081030, Wildcard("a*"))),
        ),
    ],
)
def test_what_depends_on_its_values_is_planned_for_them(query: Query) -> None:
    assert not build_statement(query).is_keyed
