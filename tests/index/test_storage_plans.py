"""What walks over objects and their copies uses indexes, page by page: the shape of the plan, never a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.index.conftest import filled_with
from vna.index.database import Database
from vna.index.sql import load

_ROWS = """
    INSERT INTO patient (issuer_of_patient_id, patient_id, attributes) VALUES ('', 'x', '{}');
    INSERT INTO study (patient, study_instance_uid, attributes) SELECT id, '1.2', '{}' FROM patient;
    INSERT INTO series (study, series_instance_uid, attributes) SELECT id, '1.2.3', '{}' FROM study;
    INSERT INTO instance (series, number_of_frames, dataset_offset, header_length, pixel_offset, pixel_length,
        tail_offset, sop_instance_uid, sop_class_uid, transfer_syntax_uid, object_digest, dataset_digest, attributes)
    SELECT s.id, 1, 0, 0, 0, 0, 0, '1.2.3.' || n, '1.5', '1.6', 'blake3:a', 'blake3:b', '{}'
    FROM series s, generate_series(1, 20000) AS n;
    INSERT INTO location (instance, "offset", length, backend, key)
    SELECT id, 0, 1000, CASE WHEN id % 10 = 0 THEN 'old' ELSE 'new' END, '2026/' || md5(id::text) FROM instance;
    INSERT INTO copy (of_key, of_offset, of_backend, backend, key)
    SELECT key, "offset", backend, 'far', '2027/' || md5(key) FROM location WHERE instance % 2 = 0;
    INSERT INTO copy (of_key, of_offset, of_backend, backend, due_since, next_attempt_at)
    SELECT key, "offset", backend, 'far', now(), now() FROM location WHERE instance % 8 = 1;
    INSERT INTO left_object (backend, key, "offset", of_backend, of_key, of_offset, is_damaged, goes_at)
    SELECT 'old', '2025/' || md5(key), 0, backend, key, "offset", false, now() + interval '1 hour'
    FROM location WHERE instance % 4 = 1;
    ANALYZE
"""
_EMPTY = """
    DELETE FROM location; DELETE FROM instance; DELETE FROM series; DELETE FROM study; DELETE FROM patient; ANALYZE
"""
_BEHIND = 2**62
_PLACE = {"key": "2026/" + "0" * 32, "offset": 0}


@pytest.fixture(scope="module")
def filled(database_url: str) -> Iterator[Database]:
    with filled_with(database_url, _ROWS, _EMPTY) as database:
        yield database


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("verify_rows", {"backend": "new", "after": "2026/8", "offset": _BEHIND, "limit": 100}),
        ("verify_rows", {"backend": "far", "after": "2027/8", "offset": _BEHIND, "limit": 100}),
        ("verify_rows", {"backend": "old", "after": "2025/8", "offset": _BEHIND, "limit": 100}),
        ("verify_rows_of_key", {"backend": "far", "key": "2027/8"}),
        ("drain_locations", {"backend": "new", "key": "2026/8", "offset": 0, "limit": 100}),
        (
            "drain_copies",
            {"backend": "far", "key": "2026/8", "offset": 0, "of": "", "limit": 100},
        ),
        ("holding", {**_PLACE, "backend": "new"}),
        ("copies_of", {**_PLACE, "backend": "new"}),
        ("left_objects", {"limit": 100}),
        ("left_is_due", {}),
        ("kept_objects", {"uids": ["1.2.3.5"]}),
        ("trash_objects", [[1, 2, 3]]),
        ("verify_rows_of_study", {"study": "1.2.9"}),
        ("verify_sample", {"percent": 1, "count": 10}),
    ],
)
def test_nothing_is_read_as_a_whole(name: str, values: Any, filled: Database) -> None:
    with filled.connection() as connection:
        row = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + load(f"queries/{name}"), values
        ).fetchone()
    assert row is not None
    (plan,) = row[0] if isinstance(row[0], list) else json.loads(row[0])
    for node in nodes(plan["Plan"]):
        is_read = node.get("Relation Name") in {"location", "copy", "left_object"}
        if is_read and node["Actual Loops"]:
            assert node["Node Type"] != "Seq Scan", node
            assert node["Actual Rows"] <= 500, node
