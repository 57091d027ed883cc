"""Searches in the index of a million studies, generated in SQL; no door in between."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.benchmarks.report import Row
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.search import SearchIndex
from vna.index.upgrade import upgrade
from vna.model.identifiers import Level
from vna.model.query import Filter, Query, Range, SingleValue, Wildcard

_GENERATE = """
INSERT INTO patient (issuer_of_patient_id, patient_id, attributes)
SELECT '', 'P' || n,
    jsonb_build_object(
        '00100010', jsonb_build_object('vr', 'PN', 'Value',
            jsonb_build_array(jsonb_build_object('Alphabetic', 'Name' || n || '^Given'))),
        '00100020', jsonb_build_object('vr', 'LO', 'Value', jsonb_build_array('P' || n)))
FROM generate_series(1, :studies / 2) AS n;

INSERT INTO study (patient, study_instance_uid, study_date, study_time, accession_number, study_id,
    patient_name, patient_birth_date, attributes)
SELECT patient.id, '1.2.3.' || patient.id || '.' || k,
    date '2010-01-01' + (patient.id * 2 + k)::int % 6000, time '10:00', 'A' || patient.id || k, 'S' || k,
    'name' || substr(patient_id, 2) || '^given', date '1930-01-01' + patient.id::int % 30000,
    jsonb_build_object('00080020', jsonb_build_object('vr', 'DA', 'Value', jsonb_build_array('20200101')))
FROM patient, generate_series(1, 2) AS k;

INSERT INTO series (study, series_instance_uid, modality, series_number, attributes)
SELECT id, study_instance_uid || '.1', 'CT', 1, '{}' FROM study;
ANALYZE;
"""


def studies(count: int, repeats: int = 200) -> Iterator[Row]:
    """Median of searches among `count` studies, against an empty statement on the same connection pool."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            EmbeddedPostgres.start(Path(folder)) as server,
            Database(server.url, pool_size=2) as database,
        ):
            upgrade(database)
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(_GENERATE.replace(":studies", str(count)).encode())
            yield from _measure(database, count, repeats)


def _measure(database: Database, count: int, repeats: int) -> Iterator[Row]:
    search = SearchIndex(database)
    wanted = frozenset({0x00100020, 0x00100010, 0x0020000D, 0x00080020, 0x00080061, 0x00201208})
    kinds = (
        ("PatientID", Filter(0x00100020, SingleValue("P{n}")), "< 5 ms"),
        ("PatientName, prefix", Filter(0x00100010, Wildcard("NAME{n}^*")), ""),
        ("AccessionNumber", Filter(0x00080050, SingleValue("A{n}1")), ""),
        ("StudyDate, one day, 100 first", Filter(0x00080020, Range("20150301", "20150301")), ""),
    )
    floor = _median(lambda _: database.ping(), repeats)
    for title, template, goal in kinds:

        def find(number: int, template: Filter = template, title: str = title) -> None:
            query = Query(Level.STUDY, (_numbered(template, number),), wanted, limit=100)
            if not list(search.find(query)):
                raise RuntimeError(f"{title}: no match for {number}")

        value = _median(find, repeats)
        yield Row(f"{count} studies by {title}, median", value, "ms", "SELECT 1", floor, goal)


def _numbered(template: Filter, number: int) -> Filter:
    match template.match:
        case SingleValue(value):
            return Filter(template.tag, SingleValue(value.format(n=number)))
        case Wildcard(pattern):
            return Filter(template.tag, Wildcard(pattern.format(n=number)))
        case _:
            return template


def _median(work: object, repeats: int) -> float:
    times = []
    for number in range(1, repeats + 1):
        started = time.perf_counter()
        work(number * 37)  # type: ignore[operator]
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
