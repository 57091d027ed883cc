"""Whatever is stored, deleted and restored: metadata show just what is there, in every process."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import orjson
import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.services.conftest import ORIGIN, Bench, make_bench
from vna.errors import NotFound
from vna.index.database import Database
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Selection
from vna.services.metadata_documents import unpacked
from vna.services.storage import ObjectStore
from vna.services.trash import TrashService

ROOT = "http://a/dicom-web/studies"
STUDY, SERIES = "1.2", ("1.2.1", "1.2.2")


def keep(bench: Bench, series: str, number: int) -> None:
    bench.keep(
        samples.ct(
            rows=16,
            columns=16,
            study_instance_uid=STUDY,
            series_instance_uid=series,
            sop_instance_uid=f"{series}.{number}",
        )
    )


def described(bench: Bench, series: str) -> set[str]:
    found: set[str] = set()
    for state in bench.metadata.states(STUDY, series):
        document = bench.metadata.document(state, ROOT)
        items = orjson.loads(b"".join(unpacked(document.body)))
        found |= {item["00080018"]["Value"][0] for item in items}
    return found


def there(bench: Bench, series: str) -> set[str]:
    instances = bench.retrieve.select(Selection(series_instance_uids=(series,)))
    return {instance.uids.sop_instance_uid for instance in instances}


@pytest.mark.parametrize("seed", range(6))
def test_no_document_is_ever_stale(
    bench: Bench, database: Database, tmp_path: Path, seed: int
) -> None:
    another = make_bench(database, FilesystemBackend(tmp_path / "store"), tmp_path / "spool2")
    objects = ObjectStore({bench.backend.name: bench.backend}, bench.backend.name)
    trash = TrashService(TrashIndex(database), objects, 30)
    chance = random.Random(seed)
    for _ in range(60):
        series, number = chance.choice(SERIES), chance.randrange(4)
        if chance.randrange(4):
            change(bench, trash, chance, (series, number))
        else:
            for one in (bench, another):
                assert described(one, series) == there(one, series)
    for series in SERIES:
        assert described(another, series) == described(bench, series) == there(bench, series)


def change(
    bench: Bench, trash: TrashService, chance: random.Random, place: tuple[str, int]
) -> None:
    series, number = place
    match chance.randrange(5):
        case 0 | 1:
            keep(bench, series, number)
        case 2:
            delete(trash, InstanceUids(STUDY, series, f"{series}.{number}"))
        case 3:
            delete(trash, InstanceUids(STUDY, chance.choice([series, ""]), ""))
        case _:
            entries = list(trash.entries())
            if entries:
                trash.restore(chance.choice(entries).trash_id, ORIGIN)


def delete(trash: TrashService, uids: InstanceUids) -> None:
    with contextlib.suppress(NotFound):
        trash.delete(uids, ORIGIN)
