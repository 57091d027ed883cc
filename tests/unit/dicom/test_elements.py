"""The tokenizer: regular datasets in every encoding, and each irregularity that it reads around."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, Typed, identity, writer
from vna.dicom.elements import MAX_ELEMENTS, Scanner
from vna.dicom.encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    Encoding,
    peek,
)

ENCODINGS = {EXPLICIT: EXPLICIT_LITTLE, IMPLICIT: IMPLICIT_LITTLE, BIG_ENDIAN: EXPLICIT_BIG}
ITEMS: dict[Any, Any] = {
    "ProcedureCodeSequence": [
        {"CodeValue": "1", "ConceptCodeSequence": [{"CodeValue": "2"}, {}]},
        {"CodeValue": "3"},
    ],
    "PatientID": "LAST",
}
CODE = struct.pack("<HH2sH", 0x0008, 0x0100, b"SH", 2) + b"A "


def scan(data: bytes, encoding: Encoding = EXPLICIT_LITTLE) -> tuple[dict[int, bytes], list[str]]:
    scanner = Scanner(data)
    tokens, _ = scanner.elements(0, len(data), encoding)
    return {t: data[start : start + n] for t, _, start, n, _ in tokens}, scanner.warnings


def undefined(tag: int, vr: bytes, content: bytes) -> bytes:
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, 0xFFFFFFFF)
    return head + content + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def item(content: bytes, *, length: int | None = None, end: bool = True) -> bytes:
    if length is None:
        tail = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) if end else b""
        return struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + content + tail
    return struct.pack("<HHI", 0xFFFE, 0xE000, length) + content


@pytest.mark.parametrize("uid", ENCODINGS)
@pytest.mark.parametrize("is_undefined", [False, True])
def test_every_encoding_is_walked(uid: str, is_undefined: bool) -> None:
    encoder = writer(uid, undefined=is_undefined)
    data = encoder.dataset({**identity(PatientName="A^B"), **ITEMS})
    assert peek(data, 0, len(data)) == ENCODINGS[uid]
    values, warnings = scan(data, ENCODINGS[uid])
    assert values[0x00100010] == b"A^B "
    assert values[0x00100020] == b"LAST"
    assert not warnings


@pytest.mark.parametrize("uid", ENCODINGS)
@pytest.mark.parametrize("is_undefined", [False, True])
def test_items_are_found_at_every_depth(uid: str, is_undefined: bool) -> None:
    data, encoding = writer(uid, undefined=is_undefined).dataset(ITEMS), ENCODINGS[uid]
    scanner = Scanner(data)
    tokens, _ = scanner.elements(0, len(data), encoding)
    spans = list(scanner.items(tokens[0], encoding))
    assert len(spans) == 2
    inner, _ = scanner.elements(*spans[0], encoding)
    assert [token[0] for token in inner] == [0x00080100, 0x0040A168]
    assert len(list(scanner.items(inner[1], encoding))) == 2
    assert not scanner.warnings


def test_implicit_big_endian_is_recognised() -> None:
    assert peek(struct.pack(">HHI", 8, 0x16, 2) + b"1\0", 0, 10) == IMPLICIT_BIG


def test_peek_says_nothing_of_garbage_and_short_data() -> None:
    assert peek(b"\x99" * 16, 0, 16) is None
    assert peek(b"\x08\0", 0, 2) is None


def test_unknown_undefined_length_is_implicit_inside() -> None:
    inside = struct.pack("<HHI", 0x0008, 0x0100, 2) + b"A "
    data = undefined(0x00091001, b"UN", item(inside)) + writer().dataset({"PatientID": "P"})
    values, warnings = scan(data)
    assert values[0x00100020] == b"P "
    assert not warnings
    token = Scanner(data).elements(0, len(data), EXPLICIT_LITTLE)[0][0]
    assert Scanner(data).children_encoding(token, EXPLICIT_LITTLE) == IMPLICIT_LITTLE


def test_unknown_undefined_length_may_be_explicit_inside() -> None:
    data = undefined(0x00091001, b"UN", item(CODE)) + writer().dataset({"PatientID": "P"})
    token = Scanner(data).elements(0, len(data), EXPLICIT_LITTLE)[0][0]
    assert Scanner(data).children_encoding(token, EXPLICIT_LITTLE) == EXPLICIT_LITTLE


@pytest.mark.parametrize("depth", [64, 20_000])
def test_deep_nesting_is_skipped_without_recursion(depth: int) -> None:
    nested = CODE
    opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + item(b"", end=False)
    closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    data = opening * depth + nested + closing * depth
    data += struct.pack("<HH2sH", 0x0041, 0x0010, b"LO", 2) + b"X "
    values, warnings = scan(data)
    assert values[0x00410010] == b"X "
    assert not warnings


@pytest.mark.parametrize(
    "content",
    [
        item(CODE, end=False),  # no item delimiter
        item(CODE, end=False) + item(CODE),
        item(CODE, length=len(CODE)) + struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
        b"",
    ],
)
def test_missing_and_extra_item_delimiters(content: bytes) -> None:
    data = undefined(0x00081032, b"SQ", content) + writer().dataset({"PatientID": "P"})
    values, _ = scan(data)
    assert values[0x00100020] == b"P "


def test_a_sequence_without_its_delimiter_ends_at_the_next_element() -> None:
    data = undefined(0x00081032, b"SQ", item(CODE))[:-8] + writer().dataset({"PatientID": "P"})
    values, warnings = scan(data)
    assert values[0x00100020] == b"P "
    assert warnings == ["a sequence of undefined length has no delimiter"]


def test_a_stray_delimiter_is_passed_over() -> None:
    data = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + writer().dataset({"PatientID": "P"})
    values, warnings = scan(data)
    assert values == {0x00100020: b"P "}
    assert warnings == ["a sequence delimiter stands outside of a sequence"]


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HH2sHI", 0x0008, 0x1030, b"LO", 0, 4) + b"TEXT",  # short VR in the long form
        struct.pack("<HH2sH", 0x0008, 0x1030, b"UT", 4) + b"TEXT",  # long VR in the short form
        struct.pack("<HH2sHI", 0x0008, 0x1030, b"UT", 0x2020, 4) + b"TEXT",  # reserved bytes set
        struct.pack("<HH2sH", 0x0008, 0x1030, b"ZZ", 4) + b"TEXT",  # unknown VR, both forms
        struct.pack("<HH2sHI", 0x0008, 0x1030, b"ZZ", 0, 4) + b"TEXT",
        struct.pack("<HHI", 0x0008, 0x1030, 4) + b"TEXT",  # implicit among explicit ones
    ],
)
def test_odd_headers_are_read_around(odd: bytes) -> None:
    encoder = writer()
    data = encoder.dataset({"Modality": "CT"}) + odd + encoder.dataset({"PatientID": "P"})
    values, warnings = scan(data)
    assert values == {0x00080060: b"CT", 0x00081030: b"TEXT", 0x00100020: b"P "}
    assert warnings or odd[6:8] == b"  "


def test_explicit_elements_in_an_implicit_dataset() -> None:
    data = writer(IMPLICIT).dataset({"Modality": "CT"}) + writer().dataset({"PatientID": "P"})
    values, warnings = scan(data, IMPLICIT_LITTLE)
    assert values[0x00100020] == b"P "
    assert warnings == ["explicit VRs in an implicit dataset"]


def test_odd_lengths_and_empty_values() -> None:
    data = b"".join(
        struct.pack("<HH2sH", 0x0010, number, b"LO", len(text)) + text
        for number, text in ((0x10, b"ABC"), (0x20, b""), (0x21, b"D"))
    )
    values, warnings = scan(data)
    assert values == {0x00100010: b"ABC", 0x00100020: b"", 0x00100021: b"D"}
    assert not warnings


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_cut_end_keeps_what_stands_before(cut: int) -> None:
    data = writer().dataset({"Modality": "CT", "PatientID": "PAT1"})
    scanner = Scanner(data[:-cut])
    tokens, _ = scanner.elements(0, len(data) - cut, EXPLICIT_LITTLE)
    assert tokens[0][0] == 0x00080060
    assert scanner.truncated


def test_trailing_zeros_are_no_fault() -> None:
    _, warnings = scan(writer().dataset({"Modality": "CT"}) + bytes(5))
    assert not warnings


def test_a_length_beyond_the_end_allocates_nothing() -> None:
    data = struct.pack("<HH2sHI", 0x0042, 0x0011, b"OB", 0, 0xFFFFFFFE) + b"12"
    values, warnings = scan(data)
    assert values == {0x00420011: b"12"}
    assert warnings == ["element 00420011 is longer than what is left"]


def test_the_walk_stops_at_pixel_data_but_not_at_nested_ones() -> None:
    icon: dict[Any, Any] = {"IconImageSequence": [{"PixelData": Typed("OW", b"1234")}], "Rows": 1}
    data = writer().dataset({**icon, "PixelData": Typed("OW", b"5678")})
    tokens, stopped = Scanner(data).elements(0, len(data), EXPLICIT_LITTLE, stop_at_pixels=True)
    assert [token[0] for token in tokens] == [0x00280010, 0x00880200]
    assert data[stopped : stopped + 4] == b"\xe0\x7f\x10\0"


def test_the_number_of_elements_is_bounded() -> None:
    data = struct.pack("<HHI", 0x0009, 0x1001, 0) * (MAX_ELEMENTS + 10)
    scanner = Scanner(data)
    tokens, _ = scanner.elements(0, len(data), IMPLICIT_LITTLE)
    assert len(tokens) == MAX_ELEMENTS
    assert "the rest is not read" in scanner.warnings[0]
