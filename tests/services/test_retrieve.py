"""Delivering: the stored bytes, whole, as a dataset, as a file, by frame, by element, described."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import cast

import pydicom
import pytest

from storage_backends.base import ObjectReader
from tests import samples
from tests.services.conftest import Bench
from vna.dicom.part10 import file_meta
from vna.errors import Corrupt, NotFound
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.services.header_bytes import chunks
from vna.services.retrieve import RetrieveService

ROOT = "http://archive/dicom-web/studies"


def kept(bench: Bench, data: bytes) -> StoredInstance:
    uid = bench.keep(data).uids.sop_instance_uid
    (instance,) = bench.retrieve.select(Selection(sop_instance_uids=(uid,)))
    return instance


def test_a_selection_that_narrows_nothing_selects_nothing(bench: Bench) -> None:
    bench.keep(samples.small())
    assert bench.retrieve.select(Selection()) == []


def test_the_dataset_is_what_stands_behind_the_file_meta(bench: Bench) -> None:
    data = samples.ct(rows=16, columns=16)
    instance = kept(bench, data)
    reader, length = bench.retrieve.open_dataset(instance)
    with reader:
        dataset = b"".join(chunks(reader))
    assert len(dataset) == length
    assert data.endswith(dataset)
    assert len(data) - length == 144 + struct.unpack("<I", data[140:144])[0]


def test_a_bare_dataset_is_delivered_as_a_file_with_its_bytes_untouched(bench: Bench) -> None:
    bare = samples.dataset(samples.identity(SOPInstanceUID="1.2.3"))
    reader, length = bench.retrieve.open_part10(kept(bench, bare))
    with reader:
        file = b"".join(chunks(reader))
    assert len(file) == length
    assert file[128:132] == b"DICM"
    assert file.endswith(bare)
    assert pydicom.dcmread(pydicom.filebase.DicomBytesIO(file)).SOPInstanceUID == "1.2.3"


@pytest.mark.parametrize(
    "syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED]
)
def test_native_frames_come_as_little_endian(bench: Bench, syntax: str) -> None:
    pixels = struct.pack("<12H", *range(12))
    order = ">" if syntax == samples.BIG_ENDIAN else "<"
    elements = samples.identity(SOPClassUID=samples.MULTIFRAME_CAPTURE)
    elements |= samples.image(2, 2, 3, 16)
    elements["PixelData"] = samples.Typed("OW", struct.pack(f"{order}12H", *range(12)))
    instance = kept(bench, samples.part10(elements, syntax))
    frames = list(bench.pixels.frames(instance, [3, 1]))
    assert [frame.number for frame in frames] == [3, 1]
    assert [frame.data for frame in frames] == [pixels[16:], pixels[:8]]
    assert {frame.transfer_syntax_uid for frame in frames} == {samples.EXPLICIT}


def test_encapsulated_frames_come_as_stored_without_item_headers(bench: Bench) -> None:
    parts = [[b"\xff\xd8\xff1 ", b"2 "], [b"\xff\xd8\xff3 "]]
    instance = kept(bench, samples.encapsulated(parts))
    frames = list(bench.pixels.frames(instance, [1, 2]))
    assert [frame.data for frame in frames] == [b"".join(part) for part in parts]
    assert {frame.transfer_syntax_uid for frame in frames} == {samples.JPEG_BASELINE}


@pytest.mark.parametrize("number", [0, 4])
def test_a_frame_that_is_not_there_is_said_before_the_first(bench: Bench, number: int) -> None:
    instance = kept(bench, samples.multiframe(3))
    with pytest.raises(NotFound, match="has 3 frames"):
        bench.pixels.frames(instance, [1, number])


def test_every_bulk_data_uri_of_the_metadata_resolves(bench: Bench) -> None:
    blob = bytes(range(256)) * 8
    elements = samples.identity() | samples.image(4, 4, 1, 8)
    elements["WaveformSequence"] = [{"WaveformData": samples.Typed("OW", blob)}]
    elements["PixelData"] = samples.Typed("OB", bytes(range(16)))
    instance = kept(bench, samples.part10(elements))
    attributes = bench.metadata.attributes(instance, ROOT)
    prefix = f"{ROOT}/{instance.uids.study_instance_uid}/series/{instance.uids.series_instance_uid}"
    prefix += f"/instances/{instance.uids.sop_instance_uid}/bulkdata/"
    assert attributes["7FE00010"]["BulkDataURI"] == prefix + "7FE00010"
    (item,) = cast("list[dict[str, dict[str, str]]]", attributes["54000100"]["Value"])
    path = item["54001010"]["BulkDataURI"].removeprefix(prefix)
    waveform = bench.pixels.bulk(instance, path)
    assert waveform.read(0, waveform.length) == blob
    assert waveform.read(100, 7) == blob[100:107]
    pixel = bench.pixels.bulk(instance, "7FE00010")
    assert pixel.read(0, pixel.length) == bytes(range(16))


def test_bulk_data_of_a_big_endian_object_is_little_endian_at_any_offset(bench: Bench) -> None:
    elements = samples.identity() | samples.image(4, 4, 1, 16)
    elements["PixelData"] = samples.Typed("OW", struct.pack(">16H", *range(16)))
    instance = kept(bench, samples.part10(elements, samples.BIG_ENDIAN))
    value, expected = bench.pixels.bulk(instance, "7FE00010"), struct.pack("<16H", *range(16))
    assert value.length == 32
    for start in (0, 1, 2, 7, 8, 31):
        assert value.read(start, 9) == expected[start : start + 9]


def test_an_unknown_element_is_not_found(bench: Bench) -> None:
    instance = kept(bench, samples.small())
    with pytest.raises(NotFound, match="no element"):
        bench.pixels.bulk(instance, "54000100/0/54001010")


def test_elements_behind_the_pixel_data_are_in_the_metadata(bench: Bench) -> None:
    data = samples.encapsulated([[b"\xff\xd8\xff1 "]])
    tail = samples.writer().element(0xFFFAFFFA, [{"MACIDNumber": 1}])
    instance = kept(bench, data + tail)
    assert "FFFAFFFA" in bench.metadata.attributes(instance, ROOT)


def test_a_lost_object_is_named_and_not_called_missing_study(bench: Bench) -> None:
    instance = kept(bench, samples.small())
    bench.backend.delete(instance.location.key)
    with pytest.raises(Corrupt, match="although the index names it"):
        bench.retrieve.open(instance)


def test_dataset_as_converts_without_touching_pixels(bench: Bench) -> None:
    data = samples.ct(rows=16, columns=16, transfer_syntax_uid=samples.IMPLICIT)
    converted = bench.pixels.dataset_as(kept(bench, data), samples.EXPLICIT)
    before = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    after = pydicom.dcmread(
        pydicom.filebase.DicomBytesIO(
            file_meta(samples.CT_IMAGE, "1.2", samples.EXPLICIT) + converted
        )
    )
    assert after.PixelData == before.PixelData
    assert [element.tag for element in after] == [element.tag for element in before]


@pytest.mark.parametrize("whole", [RetrieveService.open_part10, RetrieveService.open_dataset])
@pytest.mark.parametrize(
    "rows", [64, 2048], ids=["small: not a byte leaves", "large: it breaks off"]
)
def test_a_damaged_object_never_leaves_whole(
    bench: Bench, whole: Callable[..., tuple[ObjectReader, int]], rows: int
) -> None:
    data = samples.ct(rows=rows, columns=rows)
    instance = kept(bench, data)
    (path,) = bench.store_directory.rglob(instance.location.key.rsplit("/", 1)[1])
    damaged = bytearray(data)
    damaged[5000] ^= 1
    path.chmod(0o600)
    path.write_bytes(damaged)
    passed = 0
    with pytest.raises(Corrupt, match="is damaged"):
        reader, _ = whole(bench.retrieve, instance)
        with reader:
            while piece := reader.read(100_000):
                passed += len(piece)
    assert bool(passed) is (rows > 64)
    assert passed < len(data)


def test_errors_in_the_middle_of_reading_are_the_archives_own(bench: Bench) -> None:
    instance = kept(bench, samples.ct(rows=64, columns=64))
    (path,) = bench.store_directory.rglob(instance.location.key.rsplit("/", 1)[1])
    with bench.retrieve.open(instance) as reader:
        reader.read(10)
        path.chmod(0o600)
        os.truncate(path, 100)
        with pytest.raises(Corrupt):
            reader.read()
