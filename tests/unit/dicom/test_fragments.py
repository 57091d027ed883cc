"""Single frames: cut from native pixel data, gathered from fragments, read without trust."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from tests import samples
from tests.samples import BIG_ENDIAN, RLE
from tests.unit.dicom.rle_frames import rle_frame
from vna.dicom.codestream import frame_fragments, read_codestream
from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.pixels import (
    frame_to_little_endian,
    native_frame,
    split_items,
)
from vna.dicom.syntaxes import DECODABLE
from vna.errors import Unsupported
from vna.model.frames import NativeFrames


def test_items_are_split_and_a_cut_one_gives_what_is_there() -> None:
    value = samples.fragments([b"abcd", b"ef"])
    assert split_items(value) == [b"", b"abcd", b"ef"]
    assert split_items(value[8:22]) == [b"abcd"]
    assert split_items(value[8:19]) == [b"abc"]
    assert split_items(b"") == []
    assert split_items(b"\xfe\xff\x00\xe0\xff\xff\xff\xffab") == [b"ab"]


def test_frames_are_found_by_markers_without_any_table() -> None:
    first, second = [b"\xff\xd8\xff1", b"23"], [b"\xff\xd8\xff4", b"56"]
    value = memoryview(samples.fragments([*first, *second]))
    groups = frame_fragments(value, 2)
    assert [b"".join(group) for group in groups] == [b"\xff\xd8\xff123", b"\xff\xd8\xff456"]
    extended = frame_fragments(value, 3, (0, 12, 22))
    assert [len(group) for group in extended] == [1, 1, 2]
    assert frame_fragments(value, 5) == []
    assert frame_fragments(memoryview(b""), 1) == []


@given(bits=st.integers(1, 40), count=st.integers(1, 9), number=st.integers(1, 9), data=st.data())
def test_a_native_frame_is_cut_at_the_bit(
    bits: int, count: int, number: int, data: st.DataObject
) -> None:
    number = min(number, count)
    pixels = data.draw(st.lists(st.integers(0, 1), min_size=bits * count, max_size=bits * count))
    stored = np.packbits(pixels, bitorder="little").tobytes()
    frames = NativeFrames(0, len(stored), bits, count)
    start, length = frames.span(number)
    cut = native_frame(stored[start : start + length], frames, number)
    expected = np.packbits(pixels[(number - 1) * bits : number * bits], bitorder="little")
    assert cut == expected.tobytes()


def test_a_truncated_frame_gives_what_is_there() -> None:
    assert native_frame(b"ab", NativeFrames(0, 2, 32, 1), 1) == b"ab"
    assert native_frame(b"\xff", NativeFrames(0, 3, 9, 2), 2) == b"\x7f"


def test_frames_in_little_endian() -> None:
    sixteen = PixelDescription(1, 2, bits_allocated=16)
    eight = PixelDescription(1, 4, bits_allocated=8)
    assert frame_to_little_endian(b"\1\2\3\4", BIG_ENDIAN, sixteen) == b"\2\1\4\3"
    assert frame_to_little_endian(b"\1\2\3\4", BIG_ENDIAN, sixteen, "OB") == b"\1\2\3\4"
    assert frame_to_little_endian(b"\1\2\3\4", BIG_ENDIAN, eight) == b"\2\1\4\3"
    assert frame_to_little_endian(b"\1\2\3\4", samples.DEFLATED, sixteen) == b"\1\2\3\4"
    words = struct.pack("<4I", 1, 2**31, 3, 2**20)
    described = PixelDescription(2, 2, bits_allocated=32)
    assert frame_to_little_endian(rle_frame(words, 2, 2, 32), RLE, described) == words
    with pytest.raises(Unsupported, match="RLE"):
        frame_to_little_endian(b"\0" * 70, RLE, described)


@pytest.mark.parametrize("syntax", sorted(DECODABLE))
@settings(max_examples=30)
@given(frame=st.binary(max_size=120))
def test_a_garbage_frame_is_unsupported_or_has_the_right_size(frame: bytes, syntax: str) -> None:
    described = PixelDescription(4, 4, bits_allocated=8)
    try:
        assert len(decode_frame(frame, syntax, described).data) == 16
    except Unsupported as exc:
        assert syntax in str(exc)


@given(st.binary(max_size=60).map(lambda data: b"\xff\xd8" + data))
def test_headers_of_codestreams_are_read_without_trust(data: bytes) -> None:
    found = read_codestream(data)
    assert found is None or found.rows >= 0


def test_pydicoms_own_encapsulation_is_understood() -> None:
    frames = [rle_frame(bytes([n]) * 16, 4, 4, 8) for n in range(3)]
    groups = frame_fragments(memoryview(encapsulate(frames)), 3)
    assert [b"".join(group) for group in groups] == frames
