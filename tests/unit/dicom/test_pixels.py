"""Objects in another transfer syntax, and single frames, compared with what pydicom reads."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from tests import samples
from tests.real_images import UNDECODABLE, tolerance
from tests.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, JPEG_BASELINE, MPEG4, RLE, Typed
from tests.unit.dicom.rle_frames import rle_frame
from vna.dicom.envelope import GE_PRIVATE_UID, find_syntax, read_envelope
from vna.dicom.pixels import (
    can_transcode,
    transcode,
)
from vna.dicom.syntaxes import DECODABLE, TARGETS
from vna.errors import Unsupported

SMALL = 300_000
_CHANGED = frozenset(
    {0x00080005, 0x00280004, 0x00280006, 0x00282110, 0x7FE00001, 0x7FE00002, 0x7FE00003}
)


def convert(data: bytes, target: str = EXPLICIT, **options: int) -> bytes:
    envelope = read_envelope(data)
    syntax = find_syntax(data, envelope.dataset_offset, envelope.transfer_syntax_uid)
    return transcode(
        data,
        dataset_offset=envelope.dataset_offset,
        transfer_syntax_uid=syntax.transfer_syntax_uid,
        target=target,
        **options,
    )


def body(data: bytes) -> bytes:
    return data[read_envelope(data).dataset_offset :]


def opened(data: bytes, syntax: str = EXPLICIT) -> Dataset:
    """A bare dataset, as pydicom reads it."""
    found = read_dataset(io.BytesIO(data), syntax == IMPLICIT, syntax != BIG_ENDIAN)
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(syntax)
    return found


def raw_values(found: Dataset) -> dict[int, object]:
    """Public top-level values as bytes, without pixels and what decoding may change."""
    elements = ((int(tag), found.get_item(tag)) for tag in found.keys())  # noqa: SIM118
    return {
        tag: element.value
        for tag, element in elements
        if element is not None
        and tag not in _CHANGED
        and tag & 0xFFFF
        and tag >> 16 < 0x7FE0
        and element.VR != "SQ"
        and isinstance(element.value, bytes)
        and element.value
        and getattr(element, "length", 0) != 0xFFFFFFFF
    }


def pixels_of(found: Dataset) -> np.ndarray | None:
    try:
        return found.pixel_array
    except Exception:  # noqa: BLE001 # pydicom raises anything at all for files without an image
        return None


REAL = [*samples.pydicom_files(), *samples.corpus_files()]
LARGE = 2_000_000


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path, id=path.name, marks=[pytest.mark.slow] if path.stat().st_size > LARGE else []
        )
        for path in REAL
        if path.name not in UNDECODABLE
    ],
)
def test_real_files_keep_their_pixels_and_values(path: Path) -> None:
    data = path.read_bytes()
    for target in TARGETS if len(data) < SMALL else (EXPLICIT,):
        result = convert(data, target)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = dcmread(io.BytesIO(data), force=True), opened(result, target)
            expected = pixels_of(before)
            if expected is not None:
                found = pixels_of(after)
                assert found is not None
                np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance(data))
                check_description(before, after)
            if target == EXPLICIT and before.file_meta.get("TransferSyntaxUID") in DECODABLE:
                untouched = dcmread(io.BytesIO(data), force=True)
                assert raw_values(untouched).items() <= raw_values(opened(result)).items()


def check_description(before: Dataset, after: Dataset) -> None:
    assert "ExtendedOffsetTable" not in after
    assert after.Rows == before.Rows
    assert after.BitsAllocated == before.BitsAllocated
    if before.get("LossyImageCompression"):
        assert after.LossyImageCompression in {before.LossyImageCompression, "01"}
    if before.file_meta.get("TransferSyntaxUID") not in TARGETS and after.SamplesPerPixel == 3:
        assert after.PhotometricInterpretation in {"RGB", "YBR_FULL"}
        assert after.PlanarConfiguration in {0, 1}


@pytest.mark.parametrize(
    "path", [path for path in REAL if path.name in UNDECODABLE], ids=lambda path: path.name
)
def test_what_nobody_can_decode_is_unsupported(path: Path) -> None:
    data = path.read_bytes()
    with pytest.raises(Unsupported) as refused:
        convert(data)
    assert read_envelope(data).transfer_syntax_uid in str(refused.value)


# --- between native syntaxes ---


@pytest.mark.parametrize("middle", [IMPLICIT, BIG_ENDIAN])
def test_there_and_back_gives_the_same_bytes(middle: str) -> None:
    elements: dict[str | int, samples.Value | Typed] = {
        **samples.identity(),
        "Rows": 2,
        "SelectorSLValue": -5,
        "SelectorFDValue": 1.5,
        "SelectorFLValue": 0.25,
        "SelectorATValue": 0x00181063,
        "RequestAttributesSequence": [{"ScheduledProcedureStepID": "S1"}, {}],
        "BitsAllocated": 16,
        "PixelRepresentation": 1,
        "SmallestImagePixelValue": Typed("SS", -3),
        "PixelData": Typed("OW", struct.pack("<4h", 1, -2, 3, -4)),
    }
    data = samples.part10(elements)
    other = convert(data, middle)
    assert other != body(data)
    back = transcode(other, dataset_offset=0, transfer_syntax_uid=middle)
    assert back == body(data)


def test_big_endian_words_are_swapped_and_ob_is_not() -> None:
    words = samples.part10({"BitsAllocated": 16, "PixelData": Typed("OW", b"\1\2\3\4")}, BIG_ENDIAN)
    assert convert(words)[-4:] == b"\2\1\4\3"
    octets = samples.part10({"BitsAllocated": 8, "PixelData": Typed("OB", b"\1\2\3\4")}, BIG_ENDIAN)
    assert convert(octets)[-4:] == b"\1\2\3\4"
    longer = samples.part10(
        {"BitsAllocated": 32, "PixelData": Typed("OW", b"\1\2\3\4")}, BIG_ENDIAN
    )
    assert convert(longer)[-4:] == b"\4\3\2\1"


def test_the_stored_syntax_is_answered_byte_for_byte() -> None:
    data = samples.ct(rows=4, columns=4)
    assert convert(data) == body(data)
    deflated = samples.ct(rows=4, columns=4, transfer_syntax_uid=samples.DEFLATED)
    assert opened(convert(deflated)).Rows == 4


def test_group_lengths_do_not_survive_a_change_of_encoding() -> None:
    data = struct.pack("<HHIIHHI", 0x10, 0, 4, 10, 0x10, 0x20, 2) + b"ID"
    result = transcode(data, dataset_offset=0, transfer_syntax_uid=IMPLICIT)
    assert result == b"\x10\x00\x20\x00LO\x02\x00ID"


def test_private_elements_of_implicit_vr_become_un_and_long_ones_too() -> None:
    data = struct.pack("<HHI", 0x9, 0x10, 4) + b"ACME" + struct.pack("<HHI", 0x9, 0x1001, 2) + b"ab"
    data += struct.pack("<HHI", 0x10, 0x20, 70000) + b"x" * 70000
    found = opened(transcode(data, dataset_offset=0, transfer_syntax_uid=IMPLICIT))
    assert [found.get_item(tag).VR for tag in found.keys()] == ["LO", "UN", "UN"]  # noqa: SIM118


def test_odd_and_cut_values_become_well_formed() -> None:
    data = struct.pack("<HHI", 0x10, 0x20, 3) + b"abc" + struct.pack("<HHI", 0x10, 0x40, 99) + b"M"
    result = transcode(data, dataset_offset=0, transfer_syntax_uid=IMPLICIT)
    assert result == b"\x10\x00\x20\x00LO\x04\x00abc \x10\x00\x40\x00CS\x02\x00M "


def test_sequences_nested_without_end_are_refused() -> None:
    data = struct.pack("<HHIHHI", 0x40, 0x275, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) * 5000
    with pytest.raises(Unsupported, match="nested"):
        transcode(data, dataset_offset=0, transfer_syntax_uid=IMPLICIT)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([IMPLICIT, BIG_ENDIAN, JPEG_BASELINE, RLE]))
def test_garbage_gives_bytes_or_unsupported(data: bytes, syntax: str) -> None:
    for target in TARGETS:
        try:
            result = transcode(data, dataset_offset=0, transfer_syntax_uid=syntax, target=target)
        except Unsupported as exc:
            assert syntax in str(exc)
        else:
            assert isinstance(result, bytes)


# --- compressed ---


def rle_object(frames: int, rows: int, columns: int, **overrides: samples.Value) -> bytes:
    size = rows * columns
    parts = [[rle_frame(bytes([n]) * size, rows, columns, 8)] for n in range(frames)]
    described: dict[str, Any] = {"Rows": rows, "Columns": columns, **overrides}
    return samples.encapsulated(parts, transfer_syntax_uid=RLE, **described)


RLE_OBJECT = rle_object(2, 4, 4)


@settings(max_examples=200)
@given(st.data())
def test_damaged_objects_give_bytes_or_unsupported(data: st.DataObject) -> None:
    whole = bytearray(RLE_OBJECT)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(400, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(400, len(whole)))
    try:
        assert isinstance(convert(bytes(whole[:cut]), max_bytes=1 << 20), bytes)
    except Unsupported as exc:
        assert RLE in str(exc)


def test_rle_becomes_native_and_everything_else_stays() -> None:
    data = rle_object(3, 3, 3)
    result = convert(data)
    assert result[-28:] == b"\0" * 9 + b"\1" * 9 + b"\2" * 9 + b"\0"
    head = body(data).index(b"\xe0\x7f\x10\x00OB")
    assert result[:head] == body(data)[:head]
    assert result[head:][:12] == b"\xe0\x7f\x10\x00OB\0\0" + struct.pack("<I", 28)


@pytest.mark.parametrize(("planar", "expected"), [(0, b"RGB" * 4), (1, b"RRRRGGGGBBBB")])
def test_rle_colour_keeps_its_planar_configuration(planar: int, expected: bytes) -> None:
    frame = rle_frame(b"RGB" * 4, 2, 2, 8, 3)
    data = samples.encapsulated(
        [[frame]],
        transfer_syntax_uid=RLE,
        Rows=2,
        Columns=2,
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL",
        PlanarConfiguration=planar,
    )
    result = convert(data)
    assert result[-12:] == expected
    assert opened(result).PhotometricInterpretation == "YBR_FULL"
    assert opened(result).PlanarConfiguration == planar


def test_frames_in_several_fragments_are_joined_by_the_offset_table() -> None:
    frame = rle_frame(bytes(range(16)), 4, 4, 8)
    parts = [[frame[:70], frame[70:]], [frame]]
    data = samples.encapsulated(parts, transfer_syntax_uid=RLE)
    assert convert(data)[-32:] == bytes(range(16)) * 2
    untold = samples.encapsulated(parts, transfer_syntax_uid=RLE, table=b"")
    with pytest.raises(Unsupported, match="told apart"):
        convert(untold)


def test_deflated_one_bit_frames_run_on_without_padding() -> None:
    def deflated(frame: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(frame) + packer.flush()
        return packed + b"\0" * (len(packed) & 1)

    frames = [[deflated(bytes([0b1_1000_0001 & 0xFF, 1]))], [deflated(b"\0\0")]] * 2
    data = samples.encapsulated(
        frames,
        transfer_syntax_uid=samples.DEFLATED_FRAMES,
        Rows=3,
        Columns=3,
        BitsAllocated=1,
        BitsStored=1,
    )
    bits = "100000011" + "0" * 9 + "100000011" + "0" * 9 + "0" * 12
    expected = np.packbits([int(bit) for bit in bits], bitorder="little").tobytes()
    assert convert(data)[-6:] == expected


@pytest.mark.parametrize(
    "syntax",
    [
        MPEG4,
        "1.2.840.10008.1.2.4.94",
        "1.2.840.10008.1.2.4.110",
        "1.2.3.4",
        "2.25.1",
        GE_PRIVATE_UID,
    ],
)
def test_a_syntax_without_decoder_names_what_is_stored(syntax: str) -> None:
    data = samples.encapsulated([[b"\0\0"]], transfer_syntax_uid=syntax)
    assert not can_transcode(syntax)
    with pytest.raises(Unsupported, match="only be sent in that transfer syntax") as refused:
        convert(data)
    assert syntax in str(refused.value)
    assert convert(data, syntax) == body(data) if syntax in TARGETS else True


def test_a_compressed_target_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"rewritten to JPEG Baseline"):
        convert(samples.small(), JPEG_BASELINE)


def test_nothing_larger_than_allowed_is_made() -> None:
    with pytest.raises(Unsupported, match="4294770690 bytes"):
        convert(rle_object(1, 4, 4, Rows=65534, Columns=65535, BitsAllocated=8))
    with pytest.raises(Unsupported, match="48 bytes"):
        convert(rle_object(3, 4, 4), max_bytes=47)
    with pytest.raises(Unsupported, match="can't hold"):
        convert(rle_object(1, 4, 4, Rows=20000, Columns=20000))
    with pytest.raises(Unsupported, match="more than 1000 bytes"):
        convert(
            samples.ct(rows=64, columns=64, transfer_syntax_uid=samples.DEFLATED), max_bytes=1000
        )


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded() -> None:
    sof = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, 65535, 65535, 1) + b"\1\x11\0"
    data = samples.encapsulated([[b"\xff\xd8" + sof + b"\xff\xd9"]])
    with pytest.raises(Unsupported, match="65535 rows and 65535 columns"):
        convert(data)


@pytest.mark.parametrize(
    "overrides",
    [
        {"Rows": 0},
        {"BitsAllocated": 12},
        {"BitsAllocated": 0},
        {"NumberOfFrames": Typed("IS", "many")},
        {"NumberOfFrames": "1000000"},
    ],
)
def test_headers_that_describe_no_image_are_refused(overrides: dict[str, samples.Value]) -> None:
    with pytest.raises(Unsupported, match=RLE.replace(".", r"\.")):
        convert(rle_object(1, 4, 4, **overrides))


def test_lossy_jpeg_colour_becomes_rgb_and_is_marked_as_lossy() -> None:
    path = next(path for path in samples.pydicom_files() if path.name == "SC_rgb_jpeg_dcmtk.dcm")
    before = dcmread(path)
    del before.LossyImageCompression
    stream = io.BytesIO()
    before.save_as(stream)
    after = opened(convert(stream.getvalue()))
    assert before.PhotometricInterpretation.startswith("YBR")
    assert after.PhotometricInterpretation == "RGB"
    assert after.LossyImageCompression == "01"
    assert after.PlanarConfiguration == 0


def icon_object(icon_value: bytes) -> bytes:
    """An RLE object whose icon is compressed too."""
    encoder = samples.writer()
    icon = samples.dataset({**samples.image(2, 2), "Columns": 2})
    icon += encoder.header(0x7FE00010, "OB", 0xFFFFFFFF) + icon_value
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(icon)) + icon
    sequence = encoder.header(0x00880200, "SQ", len(item)) + item
    data = rle_object(1, 4, 4)
    cut = data.index(b"\xe0\x7f\x10\x00OB")
    return data[:cut] + sequence + data[cut:]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_compressed_icon_is_decoded_as_well(target: str) -> None:
    value = samples.fragments([rle_frame(b"\1\2\3\4", 2, 2, 8)])
    after = opened(convert(icon_object(value), target), target)
    assert after.IconImageSequence[0].PixelData == b"\1\2\3\4"
    assert after.PixelData == bytes(16)


def test_an_icon_that_cannot_be_decoded_is_left_out() -> None:
    after = opened(convert(icon_object(samples.fragments([b"no image"]))))
    assert len(after.IconImageSequence) == 0
    assert after.PixelData == bytes(16)


def test_encapsulated_pixels_under_a_native_label_stay_in_that_syntax() -> None:
    data = samples.encapsulated([[b"\xff\xd8"]], transfer_syntax_uid=EXPLICIT)
    assert convert(data) == body(data)
    with pytest.raises(Unsupported, match="encapsulated"):
        convert(data, IMPLICIT)
