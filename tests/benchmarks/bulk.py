"""Many studies put into an index by SQL, past the doors: what they would take hours to bring in."""

from __future__ import annotations

import random
from datetime import date

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from vna.dicom.person_names import names_by_key
from vna.model.query import JsonElement

_SYLLABLES = ("ba", "ker", "son", "mi", "lo", "vich", "stein", "ra", "du", "pont", "gar", "ti")
_POOL = 5000
_PREFIX = "1.2.826.0.1.3680043.10.511."
_NAMES = """
CREATE TEMPORARY TABLE bench_name (id integer PRIMARY KEY, element jsonb, folded text, tokens tsvector)
"""
_NAME = """
INSERT INTO bench_name VALUES (
    %(id)s, %(element)s, fold_name(%(element)s, 'Alphabetic'), lexemes_of(%(names)s))
"""
# Numbers run from `first` to before `end`; a patient has the two studies 2p and 2p + 1.
_PATIENTS = """
INSERT INTO patient (issuer_of_patient_id, patient_id, attributes)
SELECT '', 'BENCH-' || lpad(p::text, 8, '0'),
    jsonb_build_object(
        '00100010', bench_name.element,
        '00100020', jsonb_build_object('vr', 'LO', 'Value',
            jsonb_build_array('BENCH-' || lpad(p::text, 8, '0'))))
FROM generate_series(%(first)s / 2, (%(end)s - 1) / 2) AS p
JOIN bench_name ON bench_name.id = p %% %(pool)s
"""
_STUDIES = """
INSERT INTO study (
    patient, study_instance_uid, study_date, study_time, accession_number, study_id, patient_name, attributes,
    person_names)
SELECT patient.id, %(prefix)s || '2' || lpad(n::text, 24, '0'), day, time '10:00', 'A' || n, 'S' || n,
    bench_name.folded,
    jsonb_build_object(
        '00080020', jsonb_build_object('vr', 'DA', 'Value', jsonb_build_array(to_char(day, 'YYYYMMDD'))),
        '00080050', jsonb_build_object('vr', 'SH', 'Value', jsonb_build_array('A' || n)),
        '00081030', jsonb_build_object('vr', 'LO', 'Value', jsonb_build_array('CT Abdomen'))),
    bench_name.tokens
FROM generate_series(%(first)s, %(end)s - 1) AS n
JOIN patient ON patient.patient_id = 'BENCH-' || lpad((n / 2)::text, 8, '0')
JOIN bench_name ON bench_name.id = n / 2 %% %(pool)s
CROSS JOIN LATERAL (SELECT %(first_day)s::date + (n::bigint * 7919 %% %(days)s)::integer AS day) AS dated
"""
_SERIES = """
INSERT INTO series (study, series_instance_uid, modality, series_number, attributes, person_names)
SELECT id, %(prefix)s || '3' || right(study_instance_uid, 24), 'CT', 1,
    '{"00080060": {"vr": "CS", "Value": ["CT"]}}', ''
FROM study
WHERE study_instance_uid >= %(prefix)s || '2' || lpad(%(first)s::text, 24, '0')
    AND study_instance_uid < %(prefix)s || '2' || lpad(%(end)s::text, 24, '0')
"""
_INSTANCES = """
INSERT INTO instance (
    series, instance_number, number_of_frames, dataset_offset, header_length, pixel_offset, pixel_length,
    tail_offset, sop_instance_uid, sop_class_uid, transfer_syntax_uid, object_digest, dataset_digest, attributes)
SELECT id, 1, 1, 0, 0, 0, 0, 0, %(prefix)s || '1' || right(series_instance_uid, 24),
    '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'bench', 'bench',
    '{"00200013": {"vr": "IS", "Value": [1]}}'
FROM series
WHERE series_instance_uid >= %(prefix)s || '3' || lpad(%(first)s::text, 24, '0')
    AND series_instance_uid < %(prefix)s || '3' || lpad(%(end)s::text, 24, '0')
"""
FIRST_DAY = date(2005, 1, 1)
DAYS = 7300
"""The studies spread over so many days: the more there are, the more a day has."""


def name_of(patient: int) -> str:
    """The name of a patient of a bulk index; every 5 000th has the same."""
    number = patient % _POOL
    dice = random.Random(number)
    family, given = ("".join(dice.choices(_SYLLABLES, k=length)) for length in (3, 2))
    return f"{family.title()}^{given.title()}{number}"


def _name_row(number: int) -> dict[str, object]:
    element: JsonElement = {"vr": "PN", "Value": [{"Alphabetic": name_of(number)}]}
    names = names_by_key({"00100010": element})
    return {"id": number, "element": Jsonb(element), "names": Jsonb(names)}


def fill(url: str, first: int, end: int) -> None:
    """Studies number `first` to before `end` (even numbers) with a series and an instance each, then ANALYZE."""
    values: dict[str, object] = {
        "prefix": _PREFIX,
        "first_day": FIRST_DAY,
        "first": first,
        "end": end,
        "pool": _POOL,
        "days": DAYS,
    }
    with psycopg.connect(url) as connection:
        connection.execute(_NAMES)
        with connection.cursor() as cursor:
            cursor.executemany(_NAME, list(map(_name_row, range(_POOL))))
        for statement in (_PATIENTS, _STUDIES, _SERIES, _INSTANCES):
            connection.execute(statement, values)
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("patient", "study", "series", "instance"):
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))
