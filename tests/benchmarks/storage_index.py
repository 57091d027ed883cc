"""How many bytes of Postgres an instance takes, in each table and in its indexes."""

from __future__ import annotations

import multiprocessing
import random
import secrets
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg

from storage_backends.base import Digest
from tests import samples
from tests.benchmarks.report import Row
from vna.dicom.header import Header, HeaderReader
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.instances import InstanceIndex
from vna.index.upgrade import upgrade
from vna.model.identifiers import Origin
from vna.model.instances import LevelAttributes, Location, NewInstance
from vna.model.keys import new_object_key
from vna.model.query import JsonElement

INDEX = "index"
SERIES, INSTANCES = 2, 200
"""Of a study, and of a series."""
STUDIES_OF_PATIENT = 2
_SHORT, _WHOLE = 20_000, 1_000_000
_WRITERS = 2
_NUMBERED_EVERY = 5
"""Studies after which a writer does what the worker does every few seconds: it numbers the changes."""
_WORTH_TELLING = 5
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
_CLOCKS = ("00080013", "00080032", "00080033")
"""InstanceCreationTime, AcquisitionTime and ContentTime."""
_SIZES = """
SELECT root.relname, sum(pg_table_size(part.oid)), sum(pg_indexes_size(part.oid))
FROM pg_class AS part
JOIN pg_class AS root ON root.oid = coalesce(pg_partition_root(part.oid), part.oid)
WHERE part.relkind IN ('r', 'm') AND part.relnamespace = 'public'::regnamespace
GROUP BY root.relname
ORDER BY sum(pg_total_relation_size(part.oid)) DESC
"""


def bytes_of_instance(folder: Path, short: bool) -> Iterator[Row]:
    """CT images registered as a door registers them, in studies of 400, in a cluster of its own that syncs nothing."""
    yield from measured(folder, _SHORT if short else _WHOLE)


def measured(folder: Path, count: int) -> Iterator[Row]:
    """The total for each of `count` instances, rounded up to whole studies, then that of each relation."""
    studies = -(-count // (SERIES * INSTANCES))
    count = studies * SERIES * INSTANCES
    with EmbeddedPostgres.start(folder, settings=_SETTINGS) as server:
        with Database(server.url, pool_size=2) as database:
            upgrade(database)
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(_WRITERS, mp_context=context) as writers:
                shares = [range(first, studies, _WRITERS) for first in range(_WRITERS)]
                list(writers.map(_register_studies, [server.url] * _WRITERS, shares))
            ChangeIndex(database).number()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            sizes = connection.execute(_SIZES).fetchall()
    total = sum(table + indexes for _, table, indexes in sizes)
    yield Row(
        f"Postgres for each of {count} instances", float(total / count), "bytes", goal="<= 1200"
    )
    for name, table, indexes in sizes:
        if (each := float((table + indexes) / count)) >= _WORTH_TELLING:
            yield Row(f"of these {name}", each, "bytes", "its indexes", float(indexes / count))


def _register_studies(url: str, numbers: range) -> None:
    reader = HeaderReader()
    with Database(url, pool_size=2) as database:
        index, changes = InstanceIndex(database), ChangeIndex(database)
        for number in numbers:
            if number % _NUMBERED_EVERY == 0:
                changes.number()
            origin = Origin("dimse", f"CT_SCANNER_{number % 7}", "10.1.2.3", secrets.token_hex(16))
            study = samples.new_uid()
            for _ in range(SERIES):
                file = _file(study, number)
                header = reader.read(
                    memoryview(file),
                    sop_instance_uid="",
                    sop_class_uid="",
                    issuer_of_patient_id="",
                )
                for position in range(INSTANCES):
                    index.register(_instance(header, position, len(file)), origin)


def _file(study: str, number: int) -> bytes:
    patient = number // STUDIES_OF_PATIENT
    return samples.ct(
        study_instance_uid=study,
        patient_id=f"PAT{patient:08d}",
        patient_name=f"Family{patient % 9973}^Given{patient % 113}",
        AccessionNumber=f"A{number:011d}",
        rows=16,
        columns=16,
    )


def _instance(header: Header, position: int, size: int) -> NewInstance:
    """One slice of a series: what differs between slices of a scanner differs here."""
    uids = replace(header.uids, sop_instance_uid=samples.new_uid())
    return NewInstance(
        uids=uids,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        attributes=_attributes(header.attributes, uids.sop_instance_uid, position),
        layout=header.layout,
        frames=header.frames,
        number_of_frames=header.number_of_frames,
        location=Location("filesystem", new_object_key(), 0, size),
        object_digest=_digest(),
        dataset_digest=_digest(),
        pixel_digest=_digest(),
        warnings=header.warnings,
    )


def _attributes(common: LevelAttributes, uid: str, position: int) -> LevelAttributes:
    seconds = 36_000 + position // 4 + random.randrange(3)
    clock = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    height = -842.25 + 1.5 * position
    changed: dict[str, JsonElement] = {
        "00080018": {"vr": "UI", "Value": [uid]},
        "0008002A": {"vr": "DT", "Value": [f"20240131{clock}.{random.randrange(10**6):06d}"]},
        "00200013": {"vr": "IS", "Value": [position + 1]},
        "00200032": {"vr": "DS", "Value": [-170.0, -310.5, height]},
        "00201041": {"vr": "DS", "Value": [height]},
    }
    for tag in _CLOCKS:
        changed[tag] = {"vr": "TM", "Value": [f"{clock}.{random.randrange(10**6):06d}"]}
    return replace(common, instance=common.instance | changed)


def _digest() -> Digest:
    return Digest("blake3", secrets.token_hex(32))
