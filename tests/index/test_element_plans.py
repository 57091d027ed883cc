"""What is asked of instances within a study is looked for within that study: the shape of the plan, never a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.index.conftest import filled_with
from tests.index.test_plans import plan_of
from vna.index.database import Database
from vna.model.identifiers import Level
from vna.model.query import Filter, Match, MomentRange, Query, Range, SingleValue

_ROWS = """
    INSERT INTO patient (issuer_of_patient_id, patient_id, attributes)
    SELECT '', 'P' || n, '{}' FROM generate_series(1, 50) AS n;
    INSERT INTO study (patient, study_instance_uid, attributes) SELECT id, '1.2.' || patient_id, '{}' FROM patient;
    INSERT INTO series (study, series_instance_uid, attributes, shared)
    SELECT id, study_instance_uid || '.' || n, '{}', '{"00280010": {"vr": "US", "Value": [512]}}'
    FROM study, generate_series(1, 10) AS n;
    INSERT INTO instance (series, number_of_frames, dataset_offset, header_length, pixel_offset, pixel_length,
        tail_offset, sop_instance_uid, sop_class_uid, transfer_syntax_uid, object_digest, dataset_digest, differences)
    SELECT id, 1, 0, 0, 0, 0, 0, series_instance_uid || '.' || n, '1.5', '1.6', '', '', '{"00080033": "101500"}'
    FROM series, generate_series(1, 200) AS n;
    ANALYZE patient, study, series, instance
"""
_EMPTY = """
    DELETE FROM instance; DELETE FROM series; DELETE FROM series_gone; DELETE FROM study; DELETE FROM patient;
    ANALYZE patient, study, series, instance
"""
_DAY, _TIME = 0x00080023, 0x00080033


@pytest.fixture(scope="module")
def filled(database_url: str) -> Iterator[Database]:
    with filled_with(database_url, _ROWS, _EMPTY) as database:
        yield database


@pytest.mark.parametrize(
    "above", [Filter(0x0020000D, SingleValue("1.2.P7")), Filter(0x00100020, SingleValue("P7"))]
)
@pytest.mark.parametrize(
    ("tag", "match"),
    [
        (_TIME, SingleValue("101500")),
        (_TIME, Range("100000", None)),
        (0x00280010, SingleValue("512")),
        (_DAY, MomentRange("20240131101500", None)),
    ],
)
def test_only_the_instances_of_the_study_are_read(
    filled: Database, above: Filter, tag: int, match: Match
) -> None:
    query = Query(Level.IMAGE, (above, Filter(tag, match)), frozenset({0x00080018}))
    plan = plan_of(filled, query)
    assert "instance_by_series" in plan
