"""Copies are written before the acknowledgement, or later, on any two stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage_backends.errors import BackendFull
from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.services.faulty import ALWAYS, Fault
from tests.services.two_stores import (
    NO_WRITES,
    ORIGIN,
    Open,
    TwoStores,
    every_pair,
    every_size,
    rules,
)
from vna.config_storage import RuleConfig
from vna.errors import OutOfSpace, Unavailable
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids
from vna.model.instances import Outcome
from vna.services.keeping import Keeping
from vna.services.placement import Targets
from vna.services.storage import ObjectStore
from vna.spool import Spool


@every_pair
@every_size
def test_both_copies_are_there_when_it_is_acknowledged(stores: TwoStores, rows: int) -> None:
    data = samples.ct(rows=rows)
    instance = stores.kept(data)
    (copy,) = stores.copies(instance)
    assert (instance.location.backend, copy.backend) == ("near", "far")
    assert instance.location.key != copy.key
    assert stores.bytes_at(instance.location) == stores.bytes_at(copy) == data
    assert not stores.index.replicas.is_due()


@every_pair
@every_size
def test_a_copy_for_later_is_due_at_once_and_written_by_the_job(
    open_stores: Open, rows: int
) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    data = samples.ct(rows=rows)
    instance = stores.kept(data)
    assert stores.amounts() == {"near": 1, "far": 0}
    (due,) = stores.index.replicas.due()
    assert (due.backend, due.count, due.failed) == ("far", 1, 0)
    assert stores.replication.work(ORIGIN) == 1
    assert stores.replication.work(ORIGIN) == 0
    (copy,) = stores.copies(instance)
    assert stores.bytes_at(copy) == data
    assert stores.index.replicas.due() == []


@pytest.mark.parametrize("pair", ["filesystem and S3", "S3 and filesystem"])
def test_a_copy_that_goes_in_parts(open_stores: Open) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    data = samples.ct(rows=3000, columns=3000)
    assert len(data) > 16 * 2**20
    instance = stores.kept(data)
    assert stores.replication.work(ORIGIN) == 1
    (copy,) = stores.copies(instance)
    assert stores.bytes_at(copy) == data


@every_pair
@pytest.mark.parametrize("name", ["near", "far"])
@pytest.mark.parametrize(
    ("error", "expected"), [(NO_WRITES.error, Unavailable), (BackendFull, OutOfSpace)]
)
def test_without_every_copy_nothing_is_acknowledged_and_nothing_is_left(
    stores: TwoStores, name: str, error: type[BackendFull], expected: type[Exception]
) -> None:
    fault = Fault("no more", "put", "middle", error)
    stores.backends[name].meet(fault, ALWAYS)
    with pytest.raises(expected, match="no more"):
        stores.keep(samples.ct(rows=16))
    assert stores.one("SELECT count(*) FROM instance") == (0,)
    assert stores.amounts() == {"near": 0, "far": 0}
    stores.bring_back()
    assert stores.keep(samples.ct(rows=16)).outcome is Outcome.STORED


@pytest.mark.parametrize("order", [("near", "far"), ("far", "near")])
def test_a_spool_file_is_adopted_by_the_location_and_copied_to_the_others(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    backends = {name: FilesystemBackend(tmp_path / name, name) for name in order}
    objects = ObjectStore(backends, order[0])
    spool = Spool(tmp_path / "spool", 1024)
    with spool.open() as writer:
        writer.write(bytes(range(256)) * 100)
        with writer.finish() as spooled:
            keeping = Keeping(objects, spooled, Targets(order))
            keeping.run()
            assert spooled.path is not None
            assert not spooled.path.exists()
        for place in (keeping.location, *keeping.copies):
            with objects.open(place) as reader:
                assert reader.read() == bytes(range(256)) * 100
    objects.close()
    spool.close()


def test_a_duplicate_leaves_no_object_in_either_store(stores: TwoStores) -> None:
    data = samples.ct(rows=16)
    stores.keep(data)
    assert stores.keep(data).outcome is Outcome.DUPLICATE
    assert stores.amounts() == {"near": 1, "far": 1}
    assert stores.one("SELECT count(*) FROM copy") == (1,)


def test_a_conflicting_version_has_its_copies(stores: TwoStores) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.9"}
    stores.keep(samples.small(**uids, PatientComments="one"))
    assert stores.keep(samples.small(**uids, PatientComments="two")).outcome is Outcome.CONFLICT
    assert stores.amounts() == {"near": 2, "far": 2}
    (conflict,) = stores.index.conflicts()
    assert conflict.location is not None
    assert [item.backend for item in stores.index.replicas.copies_of(conflict.location)] == ["far"]


def test_rules_say_where_an_instance_goes(open_stores: Open) -> None:
    far = RuleConfig(modality=("MR",), copies=("far",))
    stores = open_stores(rules(("near",), magnets=far))
    assert stores.kept(samples.small(Modality="MR")).location.backend == "far"
    assert stores.kept(samples.small(Modality="CT")).location.backend == "near"


def test_an_object_moves_into_the_trash_with_its_copies(stores: TwoStores) -> None:
    instance = stores.kept(samples.ct(rows=64))
    trash = TrashIndex(stores.database)
    deleted = trash.delete(InstanceUids(instance.uids.study_instance_uid, "", ""), ORIGIN)
    assert deleted is not None
    assert [place.backend for place in stores.copies(instance)] == ["far"]
    assert trash.restore(deleted.trash_id, ORIGIN) is not None
    assert [place.backend for place in stores.copies(instance)] == ["far"]
