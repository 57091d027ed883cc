"""An index filled by SQL is searched like one that was filled through a door."""

from __future__ import annotations

import pytest

from tests.benchmarks import bulk, objects
from tests.benchmarks.raw_client import numbered_uid
from vna.index.database import Database
from vna.index.search import SearchIndex
from vna.model.identifiers import Level
from vna.model.query import Filter, JsonElement, Match, Query, Range, SingleValue, Wildcard

STUDIES = 12
NUMBER_OF_STUDY_RELATED_INSTANCES = 0x00201208
COUNT_KEY = "00201208"
STUDY_INSTANCE_UID, PATIENT_NAME = 0x0020000D, 0x00100010


@pytest.fixture
def search(database: Database, database_url: str) -> SearchIndex:
    bulk.fill(database_url, 0, 8)
    bulk.fill(database_url, 8, STUDIES)
    return SearchIndex(database)


def found(search: SearchIndex, level: Level, *filters: tuple[int, Match]) -> list[str]:
    wanted = frozenset({STUDY_INSTANCE_UID, PATIENT_NAME, NUMBER_OF_STUDY_RELATED_INSTANCES})
    query = Query(level, tuple(Filter(*pair) for pair in filters), wanted)
    records = [record.attributes for record in search.find(query)]
    assert {str(values[COUNT_KEY]["Value"]) for values in records} == {"[1]"}
    return sorted(value for values in records for value in texts(values["0020000D"]))


def texts(element: JsonElement) -> list[str]:
    value = element["Value"]
    assert isinstance(value, list)
    return [str(one) for one in value]


def test_both_studies_of_a_patient_are_found(search: SearchIndex) -> None:
    expected = [numbered_uid(10, 2), numbered_uid(11, 2)]
    assert found(search, Level.STUDY, (0x00100020, SingleValue(objects.patient_id(5)))) == expected
    name = bulk.name_of(5)
    assert found(search, Level.STUDY, (PATIENT_NAME, Wildcard(f"{name[:-1]}*"))) == expected


def test_one_study_is_found_by_accession_number_and_by_day(search: SearchIndex) -> None:
    assert found(search, Level.STUDY, (0x00080050, SingleValue("A7"))) == [numbered_uid(7, 2)]
    day = objects.day_after(bulk.FIRST_DAY, 7919 % bulk.DAYS)
    assert found(search, Level.STUDY, (0x00080020, Range(day, day))) == [numbered_uid(1, 2)]


def test_every_study_has_a_series(search: SearchIndex) -> None:
    every = [numbered_uid(number, 2) for number in range(STUDIES)]
    assert found(search, Level.SERIES) == every
    uid = numbered_uid(3, 2)
    assert found(search, Level.SERIES, (STUDY_INSTANCE_UID, SingleValue(uid))) == [uid]
