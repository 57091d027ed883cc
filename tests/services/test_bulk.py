"""Values and frames where objects are unusual: behind the pixel data, without frames, swapped, deflated."""

from __future__ import annotations

import struct
from typing import cast

import numpy as np
import pytest

from tests import samples
from tests.services.conftest import Bench
from tests.services.test_retrieve import ROOT, kept
from vna.errors import Corrupt, NotFound, Unsupported
from vna.model.instances import StoredInstance
from vna.services import header_bytes, reading
from vna.services.decoders import InProcess
from vna.services.pixels import PixelService

BLOB = bytes(range(256)) * 8
MP4 = "1.2.840.10008.1.2.4.102"


def behind() -> dict[object, samples.Value]:
    return {
        0x7FE10010: "ACME",
        0x7FE11010: samples.Typed("OB", BLOB),
        "DigitalSignaturesSequence": [{"Signature": samples.Typed("OB", BLOB)}],
    }


def with_tail(bench: Bench, syntax: str) -> StoredInstance:
    elements = samples.identity() | samples.image(2, 2)
    elements |= {"PixelData": samples.Typed("OB", b"\1\2\3\4"), **behind()}
    return kept(bench, samples.part10(elements, syntax))


def value(bench: Bench, instance: StoredInstance, path: str) -> bytes:
    found = bench.pixels.bulk(instance, path)
    data = found.read(0, found.length)
    assert len(data) == found.length
    for start in range(min(found.length, 24)):
        assert found.read(start, 5) == data[start : start + 5]
    return data


@pytest.mark.parametrize(
    "syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED]
)
def test_what_stands_behind_the_pixel_data_is_described_and_found(
    bench: Bench, syntax: str
) -> None:
    instance = with_tail(bench, syntax)
    attributes = bench.metadata.attributes(instance, ROOT)
    assert str(attributes["7FE11010"]["BulkDataURI"]).endswith("/bulkdata/7FE11010")
    assert value(bench, instance, "7FE11010") == BLOB
    (item,) = cast("list[dict[str, dict[str, str]]]", attributes["FFFAFFFA"]["Value"])
    assert item["04000120"]["BulkDataURI"].endswith("/bulkdata/FFFAFFFA/0/04000120")
    assert value(bench, instance, "FFFAFFFA/0/04000120") == BLOB
    assert value(bench, instance, "7FE00010") == b"\1\2\3\4"


def test_what_stands_behind_fragments_is_found(bench: Bench) -> None:
    data = samples.encapsulated([[b"\xff\xd8\xff1 "]])
    data += samples.writer().element(0x7FE11010, samples.Typed("OB", BLOB))
    instance = kept(bench, data)
    assert "7FE11010" in bench.metadata.attributes(instance, ROOT)
    assert value(bench, instance, "7FE11010") == BLOB


def test_a_header_too_large_for_memory_is_mapped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_bytes, "IN_MEMORY", 100)
    for syntax in (samples.EXPLICIT, samples.DEFLATED):
        instance = with_tail(bench, syntax)
        assert "7FE11010" in bench.metadata.attributes(instance, ROOT)
        assert value(bench, instance, "FFFAFFFA/0/04000120") == BLOB


@pytest.mark.parametrize("length", [2, 4, 16])
@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.DEFLATED])
def test_pixel_data_at_the_very_end_is_listed(bench: Bench, length: int, syntax: str) -> None:
    elements = samples.identity() | samples.image(1, length)
    elements["PixelData"] = samples.Typed("OW", bytes(length))
    instance = kept(bench, samples.part10(elements, syntax))
    assert "BulkDataURI" in bench.metadata.attributes(instance, ROOT)["7FE00010"]
    assert value(bench, instance, "7FE00010") == bytes(length)


def test_a_video_is_its_fragments_without_headers(bench: Bench) -> None:
    parts = [b"\0\0\0\x18ftypmp42", b"more of it", BLOB]
    data = samples.encapsulated([parts], transfer_syntax_uid=MP4, table=b"", NumberOfFrames="25")
    instance = kept(bench, data)
    assert bench.pixels.bulk(instance, "7FE00010").transfer_syntax_uid == MP4
    assert value(bench, instance, "7FE00010") == b"".join(parts)
    with pytest.raises(NotFound, match="BulkDataURI"):
        bench.pixels.frames(instance, [1])


def test_many_small_fragments_are_one_value(bench: Bench) -> None:
    parts = [struct.pack("<H", n) for n in range(20_000)]
    data = samples.encapsulated([parts], transfer_syntax_uid=MP4, table=b"")
    assert value(bench, kept(bench, data), "7FE00010") == b"".join(parts)


@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (3, 3), (5, 1)])
def test_big_endian_words_hold_bytes_of_two_frames(bench: Bench, rows: int, columns: int) -> None:
    size, count = rows * columns, 4
    little = bytes(range(1, size * count + 1))
    little += b"\0" * (len(little) % 2)
    big = np.frombuffer(little, "<u2").astype(">u2").tobytes()
    elements = samples.identity(SOPClassUID=samples.MULTIFRAME_CAPTURE)
    elements |= samples.image(rows, columns, count, 8)
    elements["PixelData"] = samples.Typed("OW", big)
    instance = kept(bench, samples.part10(elements, samples.BIG_ENDIAN))
    frames = [frame.data for frame in bench.pixels.frames(instance, range(1, count + 1))]
    assert frames == [little[n * size : (n + 1) * size] for n in range(count)]
    assert value(bench, instance, "7FE00010") == little


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_big_endian_pixels_are_swapped_by_bits_allocated(bench: Bench, bits: int) -> None:
    little = np.arange(8, dtype=f"<u{bits // 8}")
    elements = samples.identity() | samples.image(2, 2, 2, bits)
    elements["PixelData"] = samples.Typed("OW", little.byteswap().tobytes())
    instance = kept(bench, samples.part10(elements, samples.BIG_ENDIAN))
    assert value(bench, instance, "7FE00010") == little.tobytes()
    frames = [frame.data for frame in bench.pixels.frames(instance, [1, 2])]
    assert b"".join(frames) == little.tobytes()


def test_a_deflated_value_beyond_the_bound_is_refused_not_cut(bench: Bench) -> None:
    elements = samples.identity(SOPClassUID=samples.MULTIFRAME_CAPTURE)
    elements |= samples.image(512, 512, 4, 8)
    elements["PixelData"] = samples.Typed("OB", bytes(512 * 512 * 4))
    instance = kept(bench, samples.part10(elements, samples.DEFLATED))
    narrow = PixelService(bench.retrieve, 2**19, InProcess())
    assert len(next(narrow.frames(instance, [1])).data) == 2**18
    with pytest.raises(Unsupported, match="max_transcode_bytes"):
        list(narrow.frames(instance, [4]))
    pixels = narrow.bulk(instance, "7FE00010")
    with pytest.raises(Unsupported, match="max_transcode_bytes"):
        pixels.read(0, pixels.length)


def test_a_damaged_deflated_value_is_said_to_be_so(bench: Bench) -> None:
    elements = samples.identity() | samples.image(512, 512)
    elements["PixelData"] = samples.Typed("OB", np.random.default_rng(1).bytes(512 * 512))
    instance = kept(bench, samples.part10(elements, samples.DEFLATED)[:-5000])
    pixels = bench.pixels.bulk(instance, "7FE00010")
    assert pixels.read(0, 1000)
    with pytest.raises(Corrupt, match="breaks off"):
        pixels.read(0, pixels.length)


def test_elements_beyond_what_is_inflated_are_not_called_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    elements = samples.identity() | samples.image(512, 2048)
    elements |= {"PixelData": samples.Typed("OB", bytes(2**20)), **behind()}
    instance = kept(bench, samples.part10(elements, samples.DEFLATED))
    monkeypatch.setattr(header_bytes, "MAX_INFLATED", 2**18)
    assert "7FE00010" in bench.metadata.attributes(instance, ROOT)
    assert "is not described" in caplog.text
    with pytest.raises(Unsupported, match="7FE11010"):
        bench.pixels.bulk(instance, "7FE11010")


def test_a_value_that_ends_behind_what_is_inflated_is_refused_not_cut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_bytes, "MAX_HEADER_BYTES", 1000)
    elements = samples.identity() | {"EncapsulatedDocument": samples.Typed("OB", BLOB)}
    instance = kept(bench, samples.part10(elements, samples.DEFLATED))
    with pytest.raises(Unsupported, match="goes on behind"):
        bench.pixels.bulk(instance, "00420011")


def test_a_large_deflated_value_lies_in_a_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "IN_MEMORY", 100)
    assert value(bench, with_tail(bench, samples.DEFLATED), "7FE11010") == BLOB
