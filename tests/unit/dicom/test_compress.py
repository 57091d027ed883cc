"""Whole objects in compressed transfer syntaxes hold the same pixels, as pydicom reads them."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests import samples
from tests.real_images import image_files
from tests.samples import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE, Typed
from vna.dicom.envelope import find_syntax, read_envelope
from vna.dicom.part10 import file_meta
from vna.dicom.pixels import transcode
from vna.dicom.syntaxes import ENCODABLE, OBJECT_TARGETS, can_transcode
from vna.errors import Unsupported

SMALL = 300_000
_OF_PIXELS = frozenset({0x00280004, 0x00280006, 0x7FE00010})


def converted(data: bytes, target: str, source: str = "") -> bytes:
    """A Part 10 file in `target`."""
    envelope = read_envelope(data)
    syntax = find_syntax(data, envelope.dataset_offset, envelope.transfer_syntax_uid)
    dataset = transcode(
        data,
        dataset_offset=envelope.dataset_offset,
        transfer_syntax_uid=source or syntax.transfer_syntax_uid,
        target=target,
    )
    return file_meta("1.2.3", "1.2.4", target) + dataset


def read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(io.BytesIO(data))


def pixels(data: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(data).pixel_array


def others(dataset: Dataset) -> dict[int, object]:
    """Raw values of all that says nothing of the pixels."""
    elements = ((int(tag), dataset.get_item(tag)) for tag in dataset.keys())  # noqa: SIM118
    return {
        tag: element.value
        for tag, element in elements
        if element is not None
        and tag not in _OF_PIXELS
        and tag & 0xFFFF
        and tag >> 16 < 0x7FE0
        and element.VR != "SQ"
    }


SMALL_IMAGES = [path for path in image_files() if path.stat().st_size < SMALL]


@pytest.mark.parametrize("path", SMALL_IMAGES, ids=lambda path: path.name)
def test_real_files_keep_their_pixels(path: Path) -> None:
    plain = converted(path.read_bytes(), EXPLICIT)
    expected, header = pixels(plain), others(read(plain))
    done = 0
    for target in ENCODABLE:
        try:
            made = converted(path.read_bytes(), target)
        except Unsupported as exc:
            assert "can't be compressed" in str(exc) or "floating" in str(exc)
            continue
        assert read(made).file_meta.TransferSyntaxUID == target
        if "PixelData" in read(made):
            back = pixels(converted(made, EXPLICIT))
            assert back.dtype == expected.dtype
            assert (back == expected).all()
            assert others(read(made)) == header
        done += 1
    assert (
        done
        or "422" in read(plain).PhotometricInterpretation
        or read(plain).get("SamplesPerPixel") not in {1, 3}
        or "PixelData" not in read(plain)
    )


@pytest.mark.parametrize("target", OBJECT_TARGETS)
@pytest.mark.parametrize("source", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_from_every_native_syntax_to_every_target(source: str, target: str) -> None:
    random = np.random.default_rng(5).integers(0, 4096, 3 * 16 * 12).astype("<u2")
    stored = random.astype(">u2").tobytes() if source == BIG_ENDIAN else random.tobytes()
    data = samples.multiframe(
        3,
        rows=16,
        columns=12,
        bits=16,
        transfer_syntax_uid=source,
        PixelData=Typed("OW", stored),
        BitsStored=12,
        HighBit=11,
    )
    made = converted(data, target)
    found = read(converted(made, EXPLICIT) if target != EXPLICIT else made)
    assert found.pixel_array.reshape(-1).tolist() == random.tolist()
    assert found.NumberOfFrames == 3


def test_each_frame_is_an_item_behind_an_empty_table() -> None:
    made = converted(samples.multiframe(3, rows=8, columns=8), RLE)
    value = made[made.index(b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff") + 12 :]
    assert value[:8] == b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    assert value.count(b"\xfe\xff\x00\xe0") == 4
    assert value.endswith(b"\xfe\xff\xdd\xe0\x00\x00\x00\x00")


@pytest.mark.parametrize("target", ENCODABLE)
def test_what_has_no_pixels_is_the_same_in_every_syntax(target: str) -> None:
    data = samples.small()
    assert converted(data, target)[-100:] == data[-100:]


def test_floating_point_is_refused() -> None:
    elements = {**samples.identity(), **samples.image(2, 2, bits=32)}
    data = samples.part10({**elements, "FloatPixelData": Typed("OF", bytes(16))})
    with pytest.raises(Unsupported, match=r"floating point.*JPEG 2000"):
        converted(data, ENCODABLE[0])
    assert read(converted(data, IMPLICIT)).FloatPixelData == bytes(16)


def test_too_few_pixels_are_refused() -> None:
    data = samples.multiframe(3, PixelData=Typed("OB", bytes(40)))
    with pytest.raises(Unsupported, match="before the last of 3 frames"):
        converted(data, RLE)


def test_deflated_is_of_even_length_and_whole() -> None:
    for size in range(1, 40):
        data = samples.small(ImageComments="x" * size)
        made = converted(data, DEFLATED)
        dataset = made[read_envelope(made).dataset_offset :]
        assert len(dataset) % 2 == 0
        inflated = zlib.decompressobj(-15).decompress(dataset)
        assert inflated == data[read_envelope(data).dataset_offset :]


def test_the_message_names_both_syntaxes() -> None:
    data = samples.multiframe(1, bits=1, rows=8, columns=8)
    with pytest.raises(Unsupported, match=r"Explicit VR Little Endian.*JPEG-LS.*as stored"):
        converted(data, samples.JPEG_LS)


def test_icons_stay_as_they_are() -> None:
    icon = {**samples.image(2, 2), "PixelData": Typed("OB", b"abcd")}
    data = samples.multiframe(1, rows=8, columns=8, IconImageSequence=[icon])
    found = read(converted(data, RLE))
    assert found.IconImageSequence[0].PixelData == b"abcd"


def test_private_syntaxes_are_left_alone() -> None:
    assert not can_transcode("1.2.3.4")
    with pytest.raises(Unsupported, match="no decoder"):
        converted(samples.small(), RLE, source="1.2.3.4")
