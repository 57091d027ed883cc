"""What can't be read from one store is read from the other, and no wrong byte leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.services.faulty import ALWAYS, Fault
from tests.services.two_stores import (
    NO_WRITES,
    ORIGIN,
    PAIRS,
    Harm,
    TwoStores,
    every_harm,
    every_pair,
    two_stores,
    whole,
)
from vna.config_storage import StorageConfig
from vna.errors import Corrupt
from vna.index.database import Database
from vna.model.instances import StoredInstance
from vna.services.decoders import InProcess
from vna.services.frames import FrameService
from vna.services.header_json import header_json
from vna.services.pixels import PixelService
from vna.services.retrieve import RetrieveService, read_fully
from vna.services.spans import FileSpan, Pieces

Read = Callable[[RetrieveService, StoredInstance], bytes]


def _part10(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    reader, length = retrieve.open_part10(instance)
    with reader:
        data = read_fully(reader)
    assert len(data) == length
    return data


def _pieces(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    pieces, length = retrieve.part10_pieces(instance)
    data = _joined(pieces)
    assert len(data) == length
    return data


def _joined(pieces: Pieces) -> bytes:
    with closing(pieces):
        return b"".join(
            os.pread(piece.fd, piece.length, piece.offset) if isinstance(piece, FileSpan) else piece
            for piece in pieces
        )


def _range(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    return retrieve.read(instance, 0, instance.location.length)


def _verified(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    retrieve.verify(instance)
    return _range(retrieve, instance)


def _dataset(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    reader, length = retrieve.open_dataset(instance)
    with reader:
        data = read_fully(reader)
    assert len(data) == length
    return _range(retrieve, instance)[: instance.layout.dataset_offset] + data


WAYS: tuple[Read, ...] = (whole, _part10, _pieces, _verified, _dataset)
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))


@every_pair
@every_harm
@every_way
def test_what_is_broken_is_read_from_its_copy(stores: TwoStores, harm: Harm, way: Read) -> None:
    data = samples.ct(rows=64)
    instance = stores.kept(data)
    harm(stores, instance.location)
    assert way(stores.retrieve, instance) == data


@every_way
def test_a_store_that_does_not_answer_is_done_without(stores: TwoStores, way: Read) -> None:
    data = samples.ct(rows=64)
    instance = stores.kept(data)
    stores.take_away("near")
    assert way(stores.retrieve, instance) == data
    fault = stores.backends["near"]
    fault.meet(NO_WRITES, ALWAYS)  # it answers again, but is left alone for a moment
    assert way(stores.retrieve, instance) == data


@pytest.mark.parametrize("harm", [TwoStores.lose, TwoStores.cut_short])
def test_ranges_too_come_from_the_copy(stores: TwoStores, harm: Harm) -> None:
    data = samples.multiframe(3)
    instance = stores.kept(data)
    harm(stores, instance.location)
    size = instance.location.length
    assert stores.retrieve.read(instance, size - 40, 30) == data[-40:-10]
    found = stores.retrieve.find_frames(instance.uids, [3])
    assert found is not None
    start, length = found.spans[0]
    assert stores.retrieve.read(found.instance, start, length) == data[start : start + length]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("harm", [TwoStores.lose, TwoStores.cut_short])
def test_frames_headers_and_bulk_data_too_come_from_the_copy(stores: TwoStores, harm: Harm) -> None:
    data = samples.multiframe(3, rows=64, columns=64)
    instance = stores.kept(data)
    pixels = PixelService(stores.retrieve, 2**24, InProcess())
    frames = FrameService(stores.retrieve, pixels, InProcess(), 2**24)

    def read() -> list[object]:
        found = frames.find(instance.uids, [1, 3])
        bulk = pixels.bulk(instance, "7FE00010")
        return [
            list(frames.read(found, frames.syntaxes(found)[0])),
            header_json(stores.retrieve, instance, lambda path: path),
            bulk.read(0, bulk.length),
        ]

    before = read()
    harm(stores, instance.location)
    assert read() == before
    assert stores.index.replicas.is_due()


def test_a_reader_goes_on_with_the_copy_where_the_first_breaks_off(stores: TwoStores) -> None:
    data = samples.ct(rows=512)
    instance = stores.kept(data)
    stores.backends["near"].meet(Fault("reset", "read", "middle"), 1)
    with stores.retrieve.open(instance) as reader:
        assert read_fully(reader) == data


@every_harm
@every_way
def test_without_any_healthy_copy_no_wrong_byte_leaves(
    stores: TwoStores, harm: Harm, way: Read
) -> None:
    instance = stores.kept(samples.ct(rows=64))
    for place in (instance.location, *stores.copies(instance)):
        harm(stores, place)
    with pytest.raises(Corrupt):
        way(stores.retrieve, instance)


def test_a_large_object_that_is_damaged_comes_whole_the_second_time(stores: TwoStores) -> None:
    data = samples.ct(rows=2048, columns=2048)  # more than is verified before its first byte leaves
    instance = stores.kept(data)
    assert not stores.retrieve.is_small(instance)
    stores.spoil(instance.location)
    for way in (_part10, _pieces):
        again = stores.find(instance.uids.sop_instance_uid)
        if way is _part10:
            with pytest.raises(Corrupt):
                way(stores.retrieve, again)
        assert way(stores.retrieve, again) == data
    assert stores.replication.work(ORIGIN) == 1
    assert stores.bytes_at(stores.find(instance.uids.sop_instance_uid).location) == data


def test_with_one_store_the_index_is_asked_for_no_copies(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("there can be no copies")

    config = StorageConfig("near")
    near = {"near": FilesystemBackend(tmp_path / "near")}
    with two_stores(database, tmp_path / "spool", near, config) as stores:
        monkeypatch.setattr(stores.index.replicas, "copies_of", asked)
        monkeypatch.setattr(stores.index.replicas, "doubt", asked)
        instance = stores.kept(samples.ct(rows=64))
        stores.spoil(instance.location)
        for way in WAYS:
            with pytest.raises(Corrupt):
                way(stores.retrieve, instance)
