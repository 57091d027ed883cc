"""Files made of metadata and bulk data: codestreams are read right, and garbage is refused, never a crash."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dicomweb.streams import jpeg, jpeg_2000, jpeg_ls, mp4
from tests.unit.dicom.datasets import datasets
from vna.dicom.build_pixels import BulkPart
from vna.dicom.building import build_file
from vna.dicom.element_writer import Frames
from vna.dicom.mp4 import read_mp4
from vna.dicom.stream_headers import bare_codestream, read_stream_header
from vna.errors import InvalidInstance, Unsupported
from vna.model.query import JsonElement

JPEG_UID = "1.2.840.10008.1.2.4."
STREAMS = (
    jpeg(8, 8), jpeg(8, 8, is_colour=True), jpeg_2000(8, 8), jpeg_2000(8, 8, is_boxed=True),
    jpeg_2000(8, 8, is_colour=True, is_lossy=True), jpeg_ls(), mp4(16, 16, frames=2, seconds=1),
)  # fmt: skip
KINDS = (
    *("application/octet-stream", "image/jpeg", "image/jls", "image/jp2", "image/jphc"),
    *("image/dicom-rle", "image/jxl", "video/mp4", "video/mpeg2", "text/plain"),
)
SYNTAXES = ("", "1.2.840.10008.1.2.1", *(JPEG_UID + end for end in ("50", "90", "91", "80", "102")))


def instance(**more: JsonElement) -> dict[str, JsonElement]:
    return {
        "00080016": {"vr": "UI", "Value": ["1.2.3"]},
        "00080018": {"vr": "UI", "Value": ["1.2.4"]},
        **{key[1:]: element for key, element in more.items()},
    }


def built(attributes: dict[str, JsonElement], part: BulkPart) -> bytes:
    chunks = build_file(attributes, {"p": part})
    assert not any(isinstance(chunk, Frames) for chunk in chunks)
    return b"".join(chunks)  # type: ignore[arg-type]


def damaged(draw: st.DrawFn) -> bytes:
    """A stream with a few bytes changed, and perhaps cut."""
    data = bytearray(draw(st.sampled_from(STREAMS)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, min(len(data), 400) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.composite(damaged)())
def test_damaged_streams_are_told_or_not_known(data: bytes) -> None:
    read_stream_header(data)
    read_mp4(memoryview(data))
    assert len(bare_codestream(data)) <= len(data)


@given(
    datasets(1),
    st.lists(st.composite(damaged)() | st.binary(max_size=40), min_size=1, max_size=3),
    st.sampled_from(KINDS),
    st.sampled_from(SYNTAXES),
)
def test_anything_is_built_or_refused(
    random: dict[str, JsonElement], pieces: list[bytes], kind: str, syntax: str
) -> None:
    pixels: JsonElement = {"vr": "OB", "BulkDataURI": "p"}
    try:
        data = built(
            {**random, **instance(T7FE00010=pixels)}, BulkPart(tuple(pieces), kind, syntax)
        )
    except (InvalidInstance, Unsupported):
        return
    assert data[128:132] == b"DICM"
    assert len(data) % 2 == 0


@pytest.mark.parametrize(
    ("stream", "syntaxes", "shape", "photometric"),
    [
        (jpeg(8, 24), ("50", "51"), (8, 24, 1), "MONOCHROME2"),
        (jpeg(8, 24, is_colour=True), ("50", "51"), (8, 24, 3), "YBR_FULL_422"),
        (jpeg(8, 24, is_progressive=True), (), (8, 24, 1), "MONOCHROME2"),
        (jpeg_2000(8, 24), ("90", "91", "92", "93"), (8, 24, 1), "MONOCHROME2"),
        (jpeg_2000(8, 24, is_lossy=True), ("91", "93"), (8, 24, 1), "MONOCHROME2"),
        (jpeg_2000(8, 24, is_colour=True), ("90", "91", "92", "93"), (8, 24, 3), "YBR_RCT"),
        (
            jpeg_2000(8, 24, is_colour=True, is_lossy=True),
            ("91", "93"),
            (8, 24, 3),
            "YBR_ICT",
        ),
        (jpeg_ls(), ("80", "81"), (64, 64, 1), "MONOCHROME2"),
    ],
)
def test_what_codestreams_declare(
    stream: bytes, syntaxes: tuple[str, ...], shape: tuple[int, int, int], photometric: str
) -> None:
    header = read_stream_header(stream)
    assert header is not None
    assert header.syntaxes == tuple(JPEG_UID + end for end in syntaxes)
    assert (header.rows, header.columns, header.samples) == shape
    assert header.photometric == photometric


@pytest.mark.parametrize(("level", "syntax"), [(30, "102"), (41, "102"), (42, "104"), (51, None)])
def test_the_level_of_a_video_decides_its_syntax(level: int, syntax: str | None) -> None:
    header = read_mp4(memoryview(mp4(64, 48, frames=25, seconds=1, level=level)))
    assert header is not None
    assert header.syntaxes[:1] == ((JPEG_UID + syntax,) if syntax else ())
    assert (header.columns, header.rows, header.number_of_frames, header.frame_time) == (
        64,
        48,
        25,
        40,
    )


def test_a_video_of_a_fragmentable_syntax() -> None:
    data = mp4(64, 48, frames=25, seconds=1)
    part = BulkPart((data,), "video/mp4", JPEG_UID + "102.1")
    assert b"1.2.840.10008.1.2.4.102.1" in built(
        instance(T7FE00010={"vr": "OB", "BulkDataURI": "p"}), part
    )


def test_offsets_of_several_frames() -> None:
    pieces = (jpeg(8, 8), jpeg(8, 8) + b"\0", jpeg(8, 8))
    data = built(
        instance(T7FE00010={"vr": "OB", "BulkDataURI": "p"}), BulkPart(pieces, "image/jpeg")
    )
    start = data.index(b"\xe0\x7f\x10\x00OB") + 12
    _, length, *offsets = struct.unpack_from("<II3I", data, start)
    assert length == 12
    even = [len(piece) + len(piece) % 2 for piece in pieces]
    assert offsets == [0, 8 + even[0], 16 + even[0] + even[1]]
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")


def test_boxes_that_lead_nowhere_take_no_time() -> None:
    """A million empty containers, and containers inside of each other."""
    empty = struct.pack(">I", 8) + b"moov"
    assert read_mp4(memoryview(empty * 1_000_000)) is None
    nested = b""
    for _ in range(2000):
        nested = struct.pack(">I", 8 + len(nested)) + b"stbl" + nested
    track = struct.pack(">I", 8 + len(nested)) + b"trak" + nested
    assert read_mp4(memoryview(struct.pack(">I", 8 + len(track)) + b"moov" + track)) is None
