"""Pages of a search use their indexes, and read no table in vain: the shape of the plan, never a time."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.index.test_plans import filled
from vna.index.database import Database
from vna.index.statement import TextStatement, build_count, build_pages
from vna.model.identifiers import Level
from vna.model.query import AnyOf, Filter, Position, Query, Range, SingleValue, UrlParts, Wildcard

__all__ = ["filled"]

URL = UrlParts("http://h/studies/", "/series/", "/instances/")
STUDY_LIST = frozenset({0x00080020, 0x00080061, 0x00100010, 0x00100020, 0x0020000D, 0x00201208})
OF_A_SERIES = frozenset({0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00200013, 0x00280010})
P7 = Filter(0x00100020, SingleValue("P7"))
MIDDLE = Position((3653, None, 4000))


def pages_of(query: Query) -> list[TextStatement]:
    return build_pages(replace(query, limit=101), "", URL)


def plan_of(database: Database, statement: TextStatement, *, generic: bool = False) -> str:
    with database.connection() as connection:
        if generic:
            text = statement.text
            for number, name in enumerate(statement.values, 1):
                text = text.replace(f"%({name})s".encode(), b"$%d" % number)
            explain = b"EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + text.replace(b"%%", b"%")
            result = connection.pgconn.exec_(explain)
            plan = result.get_value(0, 0)
            assert plan is not None, result.error_message
            return plan.decode()
        explain = b"EXPLAIN (FORMAT JSON) " + statement.text
        row = connection.execute(explain, statement.values, prepare=False).fetchone()
    assert row is not None
    return json.dumps(row[0])


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.IMAGE])
@pytest.mark.parametrize("after", [None, MIDDLE, Position((None, "10:00:00", 4000))])
def test_a_page_of_everything_is_read_in_order(
    filled: Database, level: Level, after: Position | None, generic: bool
) -> None:
    deeper = {Level.STUDY: (), Level.SERIES: (1, 5), Level.IMAGE: (1, 5, None, 7)}[level]
    place = after and Position(after.keys + deeper)
    asked = STUDY_LIST if level is Level.STUDY else OF_A_SERIES
    for statement in pages_of(Query(level, (), asked, after=place)):
        assert statement.is_prepared
        plan = plan_of(filled, statement, generic=generic)
        assert '"study_by_date"' in plan
        assert '"Sort"' not in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize("level", [Level.SERIES, Level.IMAGE])
def test_what_is_below_a_study_is_counted_once_for_it(filled: Database, level: Level) -> None:
    of_image = frozenset({0x00201209}) if level is Level.IMAGE else frozenset()
    (statement,) = pages_of(Query(level, (), STUDY_LIST | of_image))
    plan = plan_of(filled, statement)
    assert '"study_by_date"' in plan
    assert "Seq Scan" not in plan
    assert '"CTE counted_s"' in plan
    assert ('"CTE counted_e"' in plan) is bool(of_image)


def test_where_a_page_begins_is_found_by_the_index(filled: Database) -> None:
    first, undated = pages_of(Query(Level.STUDY, (), STUDY_LIST, after=MIDDLE))
    assert "Index Cond" in plan_of(filled, first, generic=True)
    assert "Index Cond" in plan_of(filled, undated, generic=True)


@pytest.mark.parametrize(
    ("level", "filters", "index"),
    [
        (Level.STUDY, (P7,), "patient_identity"),
        (Level.STUDY, (Filter(0x00080050, SingleValue("A7")),), "study_by_accession_number"),
        (Level.STUDY, (Filter(0x0020000D, AnyOf(("1.2.7",))),), "study_identity"),
        (Level.STUDY, (Filter(0x00080020, Range("20100101", "20100107")),), "study_by_date"),
        (Level.SERIES, (Filter(0x0020000D, SingleValue("1.2.7")),), "study_identity"),
        (Level.IMAGE, (Filter(0x0020000E, SingleValue("1.3.7")),), "series_identity"),
    ],
)
def test_one_plan_is_right_for_every_value(
    filled: Database, level: Level, filters: tuple[Filter, ...], index: str
) -> None:
    statements = pages_of(Query(level, filters, STUDY_LIST))
    statements.append(build_count(Query(level, filters), ""))
    for statement in statements:
        assert statement.is_prepared
        plan = plan_of(filled, statement, generic=True)
        assert f'"{index}"' in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    "query",
    [
        Query(Level.STUDY, (Filter(0x00100020, Wildcard("P7*")),), STUDY_LIST),
        Query(Level.STUDY, (Filter(0x00100010, SingleValue("Doe")),), STUDY_LIST),
        Query(Level.STUDY, (P7,), STUDY_LIST, offset=1),
        Query(Level.STUDY, (), STUDY_LIST, offset=1),
        Query(Level.STUDY, (Filter(0x00080018, SingleValue("1.4.7")),), STUDY_LIST),
    ],
)
def test_what_depends_on_its_values_is_planned_for_them_and_limited(query: Query) -> None:
    (statement,) = pages_of(query)
    assert not statement.is_prepared
    assert not statement.is_bounded


def tables_in(plan: str) -> set[str]:
    return {
        name for name in ("patient", "study", "series", "instance") if f'Name": "{name}"' in plan
    }


@pytest.mark.parametrize(
    ("level", "filters", "asked", "tables"),
    [
        (Level.STUDY, (), frozenset({0x0020000D}), {"study"}),
        (Level.STUDY, (), frozenset({0x00100010}), {"study", "patient"}),
        (Level.STUDY, (P7,), frozenset({0x0020000D}), {"study", "patient"}),
        (
            Level.IMAGE,
            (Filter(0x0020000E, SingleValue("1.3.7")),),
            OF_A_SERIES,
            {"study", "series", "instance"},
        ),
    ],
)
def test_tables_are_read_only_for_what_they_give(
    filled: Database,
    level: Level,
    filters: tuple[Filter, ...],
    asked: frozenset[int],
    tables: set[str],
) -> None:
    (statement,) = pages_of(Query(level, filters, asked))
    assert tables_in(plan_of(filled, statement)) == tables


@pytest.mark.parametrize(
    ("level", "filters", "tables"),
    [
        (Level.STUDY, (), {"study"}),
        (Level.IMAGE, (), {"instance"}),
        (Level.IMAGE, (Filter(0x0020000E, SingleValue("1.3.7")),), {"series", "instance"}),
        (Level.STUDY, (Filter(0x00100010, Wildcard("a*")),), {"study"}),
        (Level.SERIES, (P7,), {"patient", "study", "series"}),
    ],
)
def test_counting_reads_what_the_conditions_name(
    filled: Database, level: Level, filters: tuple[Filter, ...], tables: set[str]
) -> None:
    plan = plan_of(filled, build_count(Query(level, filters, STUDY_LIST), ""))
    assert tables_in(plan) == tables


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES])
def test_nothing_is_made_of_what_an_offset_passes_over(filled: Database, level: Level) -> None:
    (statement,) = pages_of(Query(level, (), STUDY_LIST, offset=9000))
    with filled.connection() as connection:
        explain = b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement.text
        row = connection.execute(explain, statement.values, prepare=False).fetchone()
    assert row is not None
    loops = [int(found) for found in re.findall(r'"Actual Loops": (\d+)', json.dumps(row[0]))]
    assert sum(loops) < 5000, "each column would be made nine thousand times"
