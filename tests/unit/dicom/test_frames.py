"""The frame table of native and encapsulated pixel data, right and wrong ones."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests import samples
from tests.samples import EXPLICIT, JPEG_2000, JPEG_BASELINE, MPEG4, RLE, Typed
from vna.dicom.header import Header, read_header
from vna.model.frames import EncapsulatedFrames, NativeFrames

SOI = b"\xff\xd8\xff\xe0"
FRAMES = [[SOI + b"aaaa"], [SOI + b"bb"], [SOI + b"cccccc"]]
SPLIT = [[SOI + b"aa", b"AAAA"], [SOI + b"bb"], [SOI + b"cc", b"CC", b"DD"]]


def pieces(data: bytes, header: Header) -> list[bytes]:
    """The bytes of each frame, item headers stripped."""
    assert header.frames is not None
    result = []
    for number in range(1, header.frames.count + 1):
        offset, length = header.frames.span(number)
        span, frame = data[offset : offset + length], b""
        while span:
            size = struct.unpack_from("<I", span, 4)[0]
            frame, span = frame + span[8 : 8 + size], span[8 + size :]
        result.append(frame)
    return result


def joined(frames: list[list[bytes]]) -> list[bytes]:
    return [b"".join(parts) for parts in frames]


@pytest.mark.parametrize("table", [None, b""])
@pytest.mark.parametrize("frames", [FRAMES, SPLIT, SPLIT[:1], FRAMES[:1]])
def test_encapsulated_frames_with_and_without_offset_table(
    frames: list[list[bytes]], table: bytes | None
) -> None:
    data = samples.encapsulated(frames, table=table)
    header = read_header(data)
    assert isinstance(header.frames, EncapsulatedFrames)
    assert pieces(data, header) == joined(frames)
    assert header.number_of_frames == len(frames)
    assert header.warnings == ()
    layout = header.layout
    assert layout.tail_offset == len(data)
    assert layout.pixel_offset + layout.pixel_length == len(data) - 8
    assert layout.pixel_offset == layout.header_length + 12


@pytest.mark.parametrize(
    "table",
    [
        struct.pack("<3I", 0, 4, 8),  # not at fragments
        struct.pack("<2I", 0, 16),  # too few
        struct.pack("<3I", 16, 0, 30),  # not ascending
        struct.pack("<3I", 0, 0xFFFFFFF0, 0xFFFFFFFE),
        b"\x01\x02",
    ],
)
def test_a_wrong_offset_table_is_replaced_by_the_scan(table: bytes) -> None:
    data = samples.encapsulated(SPLIT, table=table)
    header = read_header(data)
    assert pieces(data, header) == joined(SPLIT)
    assert header.warnings == ("the basic offset table is wrong",)


def test_j2k_frames_are_told_apart_by_their_first_marker() -> None:
    frames = [[b"\xff\x4f\xff\x51aa", b"bb"], [b"\xff\x4f\xff\x51cc"]]
    data = samples.encapsulated(frames, table=b"", transfer_syntax_uid=JPEG_2000)
    assert pieces(data, read_header(data)) == joined(frames)


def test_the_extended_offset_table_is_used() -> None:
    offsets = struct.pack("<3Q", 0, 16, 30)
    tables: dict[str, Any] = {
        "ExtendedOffsetTable": offsets,
        "ExtendedOffsetTableLengths": struct.pack("<3Q", 8, 6, 10),
    }
    data = samples.encapsulated(FRAMES, table=b"", **tables)
    header = read_header(data)
    assert pieces(data, header) == joined(FRAMES)
    assert header.warnings == ()


def test_a_wrong_extended_offset_table_falls_back() -> None:
    tables: dict[str, Any] = {"ExtendedOffsetTable": struct.pack("<3Q", 0, 17, 30)}
    data = samples.encapsulated(FRAMES, table=b"", **tables)
    header = read_header(data)
    assert pieces(data, header) == joined(FRAMES)
    assert header.warnings == ("the extended offset table is wrong",)


def test_frames_that_cannot_be_told_apart_have_no_table() -> None:
    data = samples.encapsulated([[b"a1", b"a2"], [b"b1"]], table=b"", transfer_syntax_uid=RLE)
    header = read_header(data)
    assert header.frames is None
    assert header.number_of_frames == 2
    assert "can't be told apart" in header.warnings[0]


def test_fewer_fragments_than_frames() -> None:
    data = samples.encapsulated(FRAMES[:2], table=b"", NumberOfFrames="5")
    header = read_header(data)
    assert pieces(data, header) == joined(FRAMES[:2])
    assert header.number_of_frames == 5
    assert header.warnings == ("2 fragments for 5 frames",)


def test_an_invalid_number_of_frames_is_counted() -> None:
    data = samples.encapsulated(FRAMES, table=b"", NumberOfFrames="many")
    header = read_header(data)
    assert header.number_of_frames == 3
    assert pieces(data, header) == joined(FRAMES)


def test_video_has_no_frame_table() -> None:
    data = samples.encapsulated(
        [[b"\0\0\1\xb3aa", b"bb"]], transfer_syntax_uid=MPEG4, NumberOfFrames="100"
    )
    header = read_header(data)
    assert header.frames is None
    assert header.number_of_frames == 100
    assert header.layout.pixel_length > 0


def test_no_fragments_at_all() -> None:
    header = read_header(samples.encapsulated([], NumberOfFrames="1"))
    assert header.frames is None
    assert header.warnings[-1] == "pixel data has no fragments"


@pytest.mark.parametrize(
    ("cut", "warning"),
    [(8, "pixel data has no delimiter"), (10, "the last fragment is cut off")],
)
def test_cut_fragments(cut: int, warning: str) -> None:
    data = samples.encapsulated(FRAMES)[:-cut]
    header = read_header(data)
    assert header.frames is not None
    assert header.frames.count == 3
    assert header.warnings == (warning,)
    assert header.layout.tail_offset == len(data)


def test_fragments_of_odd_length() -> None:
    for padding in (b"", b"\0"):
        value = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
        for part in (SOI + b"aaa", SOI + b"bbb"):
            value += struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part + padding
        value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        empty = samples.encapsulated([], NumberOfFrames="2")
        header = read_header(empty[:-16] + value)
        assert isinstance(header.frames, EncapsulatedFrames)
        assert header.frames.count == 2


def test_native_frames() -> None:
    data = samples.multiframe(3, rows=4, columns=6, bits=16)
    header = read_header(data)
    assert isinstance(header.frames, NativeFrames)
    offset, length = header.frames.span(2)
    assert data[offset : offset + length] == b"\2" * 48
    assert header.layout.tail_offset == len(data)
    assert header.warnings == ()


def test_one_bit_frames_are_counted_in_bits() -> None:
    header = read_header(samples.multiframe(5, rows=3, columns=5, bits=1))
    assert isinstance(header.frames, NativeFrames)
    assert (header.frames.bits, header.frames.count) == (15, 5)
    assert header.warnings == ()


@pytest.mark.parametrize(
    ("photometric", "size", "bits"),
    [
        ("RGB", 48, 384),
        ("YBR_FULL_422", 32, 256),
        ("YBR_FULL_422", 48, 384),  # labelled, but not subsampled
        ("YBR_PARTIAL_420", 24, 192),
        ("MONOCHROME2", 16, 128),
    ],
)
def test_colour_frames(photometric: str, size: int, bits: int) -> None:
    samples_per_pixel = 1 if photometric == "MONOCHROME2" else 3
    header = read_header(
        samples.multiframe(
            1,
            SamplesPerPixel=samples_per_pixel,
            PhotometricInterpretation=photometric,
            PixelData=Typed("OB", bytes(size)),
        )
    )
    assert isinstance(header.frames, NativeFrames)
    assert header.frames.bits == bits
    assert header.warnings == ()


@pytest.mark.parametrize(("tag", "vr", "bits"), [(0x7FE00008, "OF", 32), (0x7FE00009, "OD", 64)])
def test_float_pixel_data(tag: int, vr: str, bits: int) -> None:
    pixels = bytes(2 * 3 * 2 * bits // 8)
    elements = {**samples.identity(), **samples.image(2, 3, 2, 8), tag: Typed(vr, pixels)}
    del elements["BitsAllocated"]
    header = read_header(samples.part10(elements))
    assert isinstance(header.frames, NativeFrames)
    assert (header.frames.bits, header.frames.count) == (6 * bits, 2)


def test_too_short_and_too_long_pixel_data() -> None:
    short = read_header(samples.multiframe(4, PixelData=Typed("OB", bytes(40))))
    assert short.frames is not None
    assert short.frames.count == 3
    assert short.frames.span(3)[1] == 8
    assert short.warnings == ("pixel data has 40 bytes, 64 are needed",)
    long = read_header(samples.multiframe(2, PixelData=Typed("OB", bytes(50))))
    assert long.frames is not None
    assert long.frames.count == 2
    assert long.warnings == ("pixel data has 50 bytes, only 32 are needed",)


def test_cut_off_native_pixel_data() -> None:
    header = read_header(samples.multiframe(2)[:-10])
    assert header.layout.pixel_length == 22
    assert header.warnings == ("pixel data is cut off: 22 of 32 bytes",)


def test_missing_rows_and_columns() -> None:
    elements = {**samples.identity(), "PixelData": Typed("OB", bytes(16))}
    header = read_header(samples.part10(elements))
    assert header.frames is not None
    assert header.frames.span(1)[1] == 16
    many = read_header(samples.part10({**elements, "NumberOfFrames": "2"}))
    assert many.frames is None
    assert "size of a frame is unknown" in many.warnings[0]


@pytest.mark.parametrize("number", ["0", "-3", "x", "1.5"])
def test_number_of_frames_that_is_none(number: str) -> None:
    header = read_header(samples.multiframe(3, NumberOfFrames=number))
    assert header.number_of_frames == 3
    assert "is not a positive number" in header.warnings[0]


def test_encapsulated_pixel_data_in_a_native_syntax_and_the_reverse() -> None:
    wrapped = samples.encapsulated(FRAMES, transfer_syntax_uid=EXPLICIT)
    header = read_header(wrapped)
    assert pieces(wrapped, header) == joined(FRAMES)
    assert "is encapsulated" in header.warnings[0]
    bare = read_header(samples.multiframe(2, transfer_syntax_uid=JPEG_BASELINE))
    assert isinstance(bare.frames, NativeFrames)
    assert "is not encapsulated" in bare.warnings[0]
    stream = Typed("OB", SOI + bytes(6))
    raw = read_header(samples.multiframe(2, transfer_syntax_uid=JPEG_BASELINE, PixelData=stream))
    assert raw.frames is None


def test_fragments_are_counted_no_further_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vna.dicom.frames.MAX_FRAGMENTS", 10)
    whole = samples.encapsulated([[b"ab"]] * 50, table=b"")
    header = read_header(whole)
    assert "more than 10 fragments" in " ".join(header.warnings)
