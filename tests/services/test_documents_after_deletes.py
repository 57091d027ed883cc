"""Whatever is stored, deleted and restored: metadata show just what is there, in every process."""

from __future__ import annotations

import contextlib
import random

import orjson
import pytest

from tests import samples
from tests.services.conftest import ORIGIN, Bench
from vna.errors import NotFound
from vna.model.identifiers import InstanceUids, Selection
from vna.services.metadata_documents import unpacked
from vna.services.trash import TrashService

ROOT = "http://a/dicom-web/studies"
STUDY, SERIES = "1.2", ("1.2.1", "1.2.2")


def keep(bench: Bench, series: str, number: int) -> None:
    bench.keep(samples.ct_at(STUDY, series, f"{series}.{number}"))


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
def test_no_document_is_ever_stale(bench: Bench, another: Bench, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        series, number = chance.choice(SERIES), chance.randrange(4)
        if chance.randrange(4):
            change(bench, chance, (series, number))
        else:
            for one in (bench, another):
                assert described(one, series) == there(one, series)
    for series in SERIES:
        assert described(another, series) == described(bench, series) == there(bench, series)


def change(bench: Bench, chance: random.Random, place: tuple[str, int]) -> None:
    series, number = place
    match chance.randrange(5):
        case 0 | 1:
            keep(bench, series, number)
        case 2:
            delete(bench.trash, InstanceUids(STUDY, series, f"{series}.{number}"))
        case 3:
            delete(bench.trash, InstanceUids(STUDY, chance.choice([series, ""]), ""))
        case _:
            entries = list(bench.trash.entries())
            if entries:
                bench.trash.restore(chance.choice(entries).trash_id, ORIGIN)


def delete(trash: TrashService, uids: InstanceUids) -> None:
    with contextlib.suppress(NotFound):
        trash.delete(uids, ORIGIN)
